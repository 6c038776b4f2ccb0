import type { SystemFact } from '../facts/system.ts';

/** What a person types on this family of distributions. */
export interface Commands {
  readonly rebuildInitrd: string;
  /** Something that keeps the clock right, from the package on. */
  readonly keepTime: string;
  /** Makes this guest trust the authority whose certificate is FILE. */
  readonly trustAuthority: string;
}

export function commandsOf({ family, kernel }: Pick<SystemFact, 'family' | 'kernel'>): Commands {
  return COMMANDS[family?.id ?? 'other'](kernel);
}

const COMMANDS: Readonly<Record<NonNullable<SystemFact['family']>['id'] | 'other', (kernel: string) => Commands>> = {
  suse: kernel => ({
    rebuildInitrd: `dracut --force /boot/initrd-${kernel} ${kernel}`,
    keepTime: 'zypper install chrony && systemctl enable --now chronyd',
    trustAuthority: 'cp FILE /etc/pki/trust/anchors/ && update-ca-certificates',
  }),
  rhel: kernel => ({
    rebuildInitrd: `dracut --force /boot/initramfs-${kernel}.img ${kernel}`,
    keepTime: 'dnf install chrony && systemctl enable --now chronyd',
    trustAuthority: 'cp FILE /etc/pki/ca-trust/source/anchors/ && update-ca-trust',
  }),
  debian: kernel => ({
    rebuildInitrd: `update-initramfs -u -k ${kernel}`,
    keepTime: 'apt-get install chrony && systemctl enable --now chrony',
    trustAuthority: 'cp FILE /usr/local/share/ca-certificates/NAME.crt && update-ca-certificates',
  }),
  other: () => ({
    rebuildInitrd: 'the initrd builder of this distribution',
    keepTime: 'timedatectl set-ntp true',
    trustAuthority: "this distribution's own way to add a certificate authority",
  }),
};

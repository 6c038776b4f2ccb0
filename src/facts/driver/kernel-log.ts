import type { GuestView } from '../../guest/guest.ts';
import type { Look } from '../facts.ts';

/** What the kernel of this boot has said of the NVIDIA driver, and what the guest's security has denied the daemon. */
export type KernelLogFact =
  | { readonly is: 'unknown'; readonly because: string }
  | {
      readonly is: 'read';
      /** The command that prints the lines. */
      readonly from: string;
      /** Lines of the driver (NVRM, nvidia: …), the oldest first. */
      readonly driver: readonly string[];
      /** Lines of SELinux and AppArmor about nvidia-gridd. */
      readonly denials: readonly string[];
    };

const TIMEOUT_MS = 8_000;
const LINES = '20000';
/** Enough to see what is wrong; a driver that fails says it thousands of times. */
const MOST_LINES = 200;
const AUDIT_LOG = '/var/log/audit/audit.log';

export async function collectKernelLog({ guest }: Pick<Look, 'guest'>): Promise<KernelLogFact> {
  const [kernel, audit] = await Promise.all([readKernel(guest), readAudit(guest)]);
  if (!kernel) return { is: 'unknown', because: 'neither the journal nor dmesg shows what the kernel said' };
  const denials = [...kernel.lines, ...audit].filter(line => DENIAL.test(line) && OF_THE_DRIVER.test(line));
  return {
    is: 'read',
    from: kernel.from,
    driver: bothEnds(kernel.lines.filter(line => DRIVER.test(line))),
    denials: [...new Set(denials)].slice(-MOST_LINES),
  };
}

/** Some things are said once, when the driver takes the GPU (no MSI), and what follows from them without end. */
function bothEnds(lines: readonly string[]): readonly string[] {
  if (lines.length <= MOST_LINES) return lines;
  return [...lines.slice(0, MOST_LINES / 2), ...lines.slice(-MOST_LINES / 2)];
}

/** The driver's own name for itself in the kernel's log, that of its modules, and what the kernel says when it refuses a module. */
const DRIVER =
  /\bNVRM:|^(?:\[[ \d.]+\] )?nvidia\b|Loading of (?:unsigned module|module with \w+ key) is rejected|Lockdown: .*unsigned module loading/;
/** What a program of the driver, a module of it or this very program is denied; those of a browser are none of its business. */
const OF_THE_DRIVER = /\bcomm="(?:nvidia-|vgpu-guest")|\bnvidia[\w-]*\.ko\b/;
const DENIAL = /\bavc: +denied\b|apparmor="DENIED"/;

/** The journal goes further back than the kernel's own buffer, where there is one. */
async function readKernel(
  guest: GuestView,
): Promise<{ readonly from: string; readonly lines: readonly string[] } | undefined> {
  const journal = await guest.query(
    ['journalctl', '--quiet', '--boot', '--dmesg', '--output', 'cat', '--lines', LINES],
    TIMEOUT_MS,
  );
  if (journal.code === 0 && journal.stdout !== '')
    return { from: 'journalctl -b -k', lines: journal.stdout.split('\n') };
  const dmesg = await guest.query(['dmesg'], TIMEOUT_MS);
  return dmesg.code === 0 && dmesg.stdout !== '' ? { from: 'dmesg', lines: dmesg.stdout.split('\n') } : undefined;
}

/** Where auditd runs, denials go there instead. */
async function readAudit(guest: GuestView): Promise<readonly string[]> {
  if (!(await guest.stat(AUDIT_LOG))) return [];
  const { stdout } = await guest.query(['tail', '-n', '5000', AUDIT_LOG], TIMEOUT_MS);
  return stdout.split('\n');
}

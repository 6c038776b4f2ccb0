import assert from 'node:assert/strict';
import type { Check } from '../checks.ts';
import type { Container } from '../container.ts';
import { MINUTE_MS, TOKEN } from './bed.ts';

/** An apply with nothing to do is to take at most this part of the time that the same play takes in Ansible, which is told. */
const AIM = 25;
/** What no machine that is busy with other things explains any more. */
const BOUND = 10;
const PLAY = '/root/plays/by-hand.yaml';
/** What a person writes who does without the program: one task a question, and none that would change a settled guest. */
const BY_HAND = `- hosts: localhost
  connection: local
  gather_facts: true
  tasks:
    - name: Build tools
      ansible.builtin.command: dpkg-query --status dkms gcc make libc6-dev libglvnd-dev pkg-config
      changed_when: false
    - name: Kernel headers
      ansible.builtin.stat: {path: "/lib/modules/{{ kernel }}/build", get_checksum: false}
    - name: Nouveau stays away
      ansible.builtin.lineinfile: {path: /etc/modprobe.d/blacklist-nouveau.conf, line: blacklist nouveau}
    - name: And is not there
      ansible.builtin.command: test ! -e /sys/module/nouveau
      changed_when: false
    - name: The initrd knows
      ansible.builtin.stat: {path: "/boot/initrd.img-{{ kernel }}", get_checksum: false}
    - name: The driver's package
      ansible.builtin.stat: {path: /opt/NVIDIA-Linux-x86_64-570.211.01-grid.run, checksum_algorithm: sha256}
    - name: The driver is registered
      ansible.builtin.command: dkms status -m nvidia
      changed_when: false
    - name: The driver is on disk
      ansible.builtin.command: "modinfo -k {{ kernel }} -F version nvidia"
      changed_when: false
    - name: The driver is loaded
      ansible.builtin.command: cat /sys/module/nvidia/version
      changed_when: false
    - name: The kind of license
      ansible.builtin.lineinfile: {path: /etc/nvidia/gridd.conf, regexp: '^FeatureType=', line: FeatureType=0}
      check_mode: true
    - name: The token
      ansible.builtin.copy: {src: /opt/${TOKEN}, remote_src: true, dest: /etc/nvidia/ClientConfigToken/${TOKEN}, mode: '0744'}
    - name: The daemon
      ansible.builtin.systemd_service: {name: nvidia-gridd, state: started, enabled: true}
    - name: The license
      ansible.builtin.command: nvidia-smi -q
      changed_when: false
      register: smi
      failed_when: "'Licensed' not in smi.stdout"
    - name: The configuration of X
      ansible.builtin.stat: {path: /etc/X11/xorg.conf}
    - name: The screen
      ansible.builtin.command: systemctl is-active graphical.target
      changed_when: false
      failed_when: false
`;

/** On a guest that is settled. */
export function isFasterThanAnsible(guest: Container): Check {
  return [
    `an apply with nothing to do takes no more than 1/${BOUND} of the same play in Ansible`,
    async () => {
      await guest.write(PLAY, BY_HAND, 0o644);
      const kernel = (await guest.succeed(['cat', '/proc/sys/kernel/osrelease'])).trim();
      const env = { LC_ALL: 'C.UTF-8', ANSIBLE_NOCOLOR: '1' };
      const play = ['ansible-playbook', '--inventory=localhost,', '--extra-vars', `kernel=${kernel}`, PLAY] as const;
      const apply = () => timed(() => guest.succeed(['vgpu-guest', 'apply', '--quiet'], { deadlineMs: MINUTE_MS }));
      // before and after: a machine that is slow for a while is slow for both
      const before = await apply();
      const inAnsible = await timed(async () => {
        const told = await guest.succeed(play, { deadlineMs: 4 * MINUTE_MS, env });
        assert.match(told, /^localhost +: ok=16 +changed=0 /m);
      });
      const slower = Math.max(before, await apply());
      const times = inAnsible / slower;
      const told = `apply ${slower.toFixed(0)} ms, the play ${inAnsible.toFixed(0)} ms: 1/${times.toFixed(1)}`;
      const met = times >= AIM ? 'met' : `missed by ${((AIM / times - 1) * 100).toFixed(0)} %`;
      console.log(`    ansible: ${told}; 1/${AIM} is ${met}`);
      assert.ok(times >= BOUND, told);
    },
  ];
}

async function timed(work: () => Promise<unknown>): Promise<number> {
  const startedMs = performance.now();
  await work();
  return performance.now() - startedMs;
}

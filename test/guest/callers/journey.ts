/**
 * Those who call the program on real guests: cloud-init, Ansible and Puppet of the distribution, with the files of examples/, on a
 * Debian with its own systemd in a container. What is not real there is said in ../container-journey.ts.
 */
import { join } from 'node:path';
import { type Check, indent, runInOrder, type Tally } from '../checks.ts';
import type { Container } from '../container.ts';
import { requireMachine } from '../image.ts';
import { PACKAGE_PROGRAMS } from '../packages.ts';
import { chooseByName, playInLanes, runAsProgram } from '../tier.ts';
import { ANSIBLE_PACKAGES, ansibleChecks } from './ansible.ts';
import { createCallerGuest, MINUTE_MS, openCallerImage, PROGRAM_LOG, PROJECT } from './bed.ts';
import { CLOUD_INIT_LOGS, CLOUD_INIT_PACKAGES, cloudInitChecks, seedCloudInit } from './cloud-init.ts';
import { PUPPET_PACKAGES, puppetChecks } from './puppet.ts';

interface Caller {
  readonly name: string;
  readonly packages: readonly string[];
  /** Installs the program itself. */
  readonly installs?: true;
  readonly checks: (guest: Container) => readonly Check[];
  /** What must be in the guest before it boots for the first time. */
  readonly prepare?: (guest: Container) => Promise<void>;
  readonly logs?: readonly string[];
}

const CALLERS: readonly Caller[] = [
  { name: 'ansible', packages: ANSIBLE_PACKAGES, installs: true, checks: ansibleChecks },
  { name: 'puppet', packages: PUPPET_PACKAGES, checks: puppetChecks },
  {
    name: 'cloud-init',
    packages: CLOUD_INIT_PACKAGES,
    prepare: guest => seedCloudInit(guest),
    checks: guest =>
      cloudInitChecks(guest, {
        start: () => guest.boot(),
        // a container that has gone down stays down; one that is going down already takes it no other way
        followReboot: () => guest.reboot(MINUTE_MS),
        deadlineMs: 4 * MINUTE_MS,
      }),
    logs: CLOUD_INIT_LOGS,
  },
];

await runAsProgram(async (names, signal) => {
  const chosen = chooseByName(CALLERS, names);
  await requireMachine(['mmdebstrap', 'systemd-nspawn', 'nsenter', 'setpriv', ...PACKAGE_PROGRAMS]);
  // one after the other: two of them have the same image
  for (const { packages } of chosen) await openCallerImage(packages, log, signal);
  return await playInLanes(chosen.map(caller => () => play(caller, signal)));
});

async function play(caller: Caller, signal: AbortSignal): Promise<Tally> {
  const { name, packages, installs, checks, prepare, logs = [] } = caller;
  const program = installs ? 'in-repository' : 'there';
  await using guest = await createCallerGuest({ caller: name, packages, program, log, signal });
  await prepare?.(guest);
  // awaited here: the guest goes when this function ends
  return await runInOrder(name, checks(guest), async () => {
    const folder = join(PROJECT, '.cache/callers', name);
    await guest.keepEvidence(folder, [PROGRAM_LOG, ...logs]);
    console.log(indent(`console, journal and logs of the guest: ${folder}`));
  });
}

function log(line: string): void {
  console.log(`    ${line}`);
}

/** The license journey in booted Debian containers, all parts at the same time: they wait more than they work. */
import { join, resolve } from 'node:path';
import { bringProgram, NODE } from '../callers/bed.ts';
import { indent, runInOrder, type Tally } from '../checks.ts';
import { createContainer } from '../container.ts';
import { HARDWARE, powerOn } from '../hardware.ts';
import { requireMachine } from '../image.ts';
import { NotRun } from '../not-run.ts';
import { runAsProgram } from '../tier.ts';
import { GRIDD, griddOf, introduceService, SERVICE_HOST } from './bed.ts';
import { licenseJourney } from './journey.ts';
import { prepareRoot } from './prepared.ts';
import { startLicenseService } from './service.ts';

type Part = keyof typeof licenseJourney;

/** The driver of each part. */
const VERSIONS: Readonly<Record<Part, string>> = {
  asking: '570.211.01',
  holding: '570.211.01',
  legacy: '510.108.03',
};
const PARTS = Object.keys(VERSIONS) as readonly Part[];
const PROJECT = resolve(import.meta.dirname, '../../..');
const LOOPBACK = '127.0.0.1';
/** A container is as fast as this machine, which may be busy. */
const PACE = { retryS: 0.4, timeoutMs: 1_500 };
const EVIDENCE = ['/var/log/vgpu-guest.log', '/etc/vgpu-guest/config.yaml'];

async function main(names: readonly string[], signal: AbortSignal): Promise<Tally> {
  const parts = PARTS.filter(part => names.length === 0 || names.includes(part));
  if (parts.length === 0) throw new NotRun(`there is no such part: ${PARTS.join(', ')}`);
  await requireMachine(['mmdebstrap', 'systemd-nspawn', 'nsenter', 'setpriv', 'openssl']);
  const roots = new Map<string, string>();
  for (const version of new Set(parts.map(part => VERSIONS[part]))) {
    roots.set(version, await prepareRoot(version, log, signal));
  }
  return sum(await Promise.all(parts.map(part => runPart(part, roots.get(VERSIONS[part])!, signal))));
}

async function runPart(part: Part, image: string, signal: AbortSignal): Promise<Tally> {
  const name = `license-${part}`;
  const version = VERSIONS[part];
  await using service = await startLicenseService({ hosts: [SERVICE_HOST, LOOPBACK], signal });
  const options = { name: `vgpu-guest-${name}`, image, seenAs: HARDWARE, binds: [NODE], powerOn, log, signal };
  await using guest = await createContainer(options);
  await bringProgram(guest);
  await guest.write(GRIDD, await griddOf(version), 0o755);
  await guest.boot();
  await guest.waitForBoot();
  const bed = { guest, service, address: LOOPBACK, pace: PACE };
  await introduceService(bed);

  const tallies: Tally[] = [];
  for (const [index, check] of licenseJourney[part](bed).entries()) {
    // one by one: a check that fails says nothing about the next
    const tally = await runInOrder(name, [check], async () => {
      const folder = join(PROJECT, '.cache/license', name, String(index + 1));
      await guest.keepEvidence(folder, EVIDENCE);
      console.log(indent(`console, journal and logs of the guest: ${folder}`));
    });
    tallies.push(tally);
    signal.throwIfAborted();
  }
  return sum(tallies);
}

function sum(tallies: readonly Tally[]): Tally {
  const nothing: Tally = { passed: 0, failed: 0 };
  return tallies.reduce((all, { passed, failed }) => {
    return { passed: all.passed + passed, failed: all.failed + failed };
  }, nothing);
}

function log(line: string): void {
  console.log(`    ${line}`);
}

await runAsProgram(main);

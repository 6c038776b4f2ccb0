import { execFile } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { build } from 'esbuild';
import type { FolderGuest, Ran } from '../helpers/folder-guest.ts';
import { generator } from '../helpers/generator.ts';
import { leftRunning } from '../helpers/left-running.ts';
import { AILMENTS, type Ailment, FIRST_FOLDER, FOLDERS } from './foreign.ts';
import { inParallel } from './in-parallel.ts';
import { FAMILIES, type Journey, journeysOf } from './journeys.ts';

/**
 * Every program that the journey, the way back, status and doctor call is ill in every way, one at a time: what is said must help, nothing may be claimed
 * that is not so, time and memory are bounded, and with the program well again the next run must end as if nothing had happened.
 */
const { values } = parseArgs({
  options: {
    all: { type: 'boolean', default: false },
    count: { type: 'string', default: '30' },
    seed: { type: 'string', default: '1' },
    only: { type: 'string', default: '' },
  },
});
/** Of 15 s for a look, which a busy machine needs a part of. */
const PATIENCE = 0.1;
/** A run may meet its hanging program many times. */
const LONGEST_MS = 300_000;
/** What hangs inside of the installer is ended by the run's own deadline, after which that has a minute to finish. */
const RUN_TIMEOUT = { VGPU_GUEST_RUN_TIMEOUT: '120s' };
const KILLED = 137;
const MOST_BYTES = 400 * 1024 ** 2;

/** A command on a guest, and the programs that it calls there. */
interface Stage {
  readonly journey: Journey;
  readonly command: readonly string[];
  readonly programs: readonly string[];
}

interface Case {
  readonly stage: Stage;
  readonly program: string;
  readonly ailment: Ailment;
}

const startedMs = performance.now();
const folder = mkdtempSync(join(tmpdir(), 'vgpu-guest-faults-'));
using stack = new DisposableStack();
stack.defer(() => rmSync(folder, { recursive: true, force: true }));
const IMPATIENT = join(folder, 'impatient.mjs');
await build({
  entryPoints: [join(import.meta.dirname, 'impatient.ts')],
  outfile: IMPATIENT,
  bundle: true,
  platform: 'node',
  format: 'esm',
  target: 'node24',
  loader: { '.service': 'text', '.timer': 'text' },
  banner: { js: "import { createRequire } from 'node:module'; const require = createRequire(import.meta.url);" },
  logLevel: 'warning',
});
const journeys = (await Promise.all(FAMILIES.map(journeysOf))).flat().map(journey => stack.use(journey));
const stages = await inParallel(
  journeys.flatMap(journey => commandsOf(journey).map(command => ({ journey, command }))),
  findPrograms,
);
const cases = stages.flatMap(stage =>
  stage.programs.flatMap(program => AILMENTS.map(ailment => ({ stage, program, ailment }))),
);
const wanted = cases.filter(one => titleOf(one).includes(values.only));
const tried =
  values.all || values.only !== ''
    ? wanted
    : generator(Number(values.seed)).shuffle(wanted).slice(0, Number(values.count));
console.log(
  `${new Set(stages.flatMap(({ programs }) => programs)).size} programs in ${stages.length} stages, ${cases.length} ailments; ` +
    `${values.all ? 'all of them' : `${tried.length} of them, seed ${values.seed}`}`,
);

let endured = 0;
let mostBytes = 0;
await inParallel(tried, async one => {
  const { complaints, ran, bytes } = await endure(one);
  mostBytes = Math.max(mostBytes, bytes);
  if (complaints.length === 0) return void endured++;
  console.log(`NOT OK  ${titleOf(one)}`);
  for (const complaint of complaints) console.log(complaint.replace(/^/gm, '    '));
  console.log(`${ran.stdout}${ran.stderr}`.slice(0, 6_000).trimEnd().replace(/^/gm, '    | '));
});
const seconds = Math.round((performance.now() - startedMs) / 1000);
const mib = Math.round(mostBytes / 1024 ** 2);
console.log(`${tried.length} ailments tried, ${endured} endured, at most ${mib} MiB of memory (${seconds} s)`);
process.exitCode = endured === tried.length ? 0 : 1;

/** The ways there, and the looks at a guest that is licensed. */
function commandsOf({ name, args }: Journey): readonly (readonly string[])[] {
  if (/bare|after the reboot|revert/.test(name)) return [args];
  return /token rotate/.test(name) ? [['status', '--json'], ['doctor'], ['apply']] : [];
}

/** By what the command calls undisturbed, so that no program is forgotten. */
async function findPrograms({ journey, command }: Omit<Stage, 'programs'>): Promise<Stage> {
  using guest = await journey.guest();
  await guest.vgpuGuest(command);
  const called = [...new Set(guest.calls().map(({ program }) => program))];
  const programs = called.filter(name => FOLDERS.some(place => guest.list(place).includes(name))).sort();
  return { journey, command, programs };
}

function titleOf({ stage, program, ailment }: Case): string {
  return `${stage.journey.name}, ${stage.command.join(' ')}: ${program} ${ailment.name}`;
}

async function endure(one: Case) {
  const { stage, program, ailment } = one;
  using guest = await stage.journey.guest();
  const cure = infect(guest, program, ailment);
  const beganMs = performance.now();
  const { ran, bytes } = await runImpatiently(guest, stage.command);
  const tookMs = performance.now() - beganMs;
  const complaints = [...judge(one, ran), ...(await leftRunning(guest))];
  if (tookMs > LONGEST_MS) complaints.push(`it took ${Math.round(tookMs / 1000)} s`);
  if (bytes > MOST_BYTES) complaints.push(`it took ${Math.round(bytes / 1024 ** 2)} MiB of memory`);
  cure();
  // what claims to be done is done, and what is not can be
  if (changes(stage)) complaints.push(...(await judgeAfterwards(guest, stage, ran)));
  return { complaints, ran, bytes };
}

async function judgeAfterwards(guest: FolderGuest, { journey, command }: Stage, ran: Ran): Promise<readonly string[]> {
  const code = /token rotate/.test(journey.name) ? 0 : journey.code;
  if (ran.code === 0 && command[0] === 'apply') {
    const state = JSON.parse((await guest.vgpuGuest(['status', '--json'])).stdout).license.state;
    if (state !== 'licensed') return [`exit code 0, and the guest is ${state}`];
  }
  const again = await guest.vgpuGuest(command.filter(word => word !== '--resume'));
  return again.code === code
    ? []
    : [`with a program that is well again: ${again.code}\n${again.stdout}${again.stderr}`];
}

function changes({ command }: Stage): boolean {
  return command[0] === 'apply' || command[0] === 'revert';
}

function judge({ stage, program }: Case, { code, stdout, stderr }: Ran): readonly string[] {
  const said = stdout + stderr;
  const complaints: string[] = [];
  if (/^\s+at .*[:(]\d+/m.test(said) || /\bdefect\b|node:internal/.test(said)) complaints.push('a stack trace');
  const [command] = stage.command;
  const known = changes(stage) ? [0, 1, 3, 4, 5, 75] : command === 'doctor' ? [0, 4] : [0];
  if (!known.includes(code)) complaints.push(`exit code ${code}`);
  if (changes(stage) && [1, 4, 75].includes(code) && !/→ \S/.test(said)) complaints.push('no remedy');
  // what lacks its nvidia-smi does not work
  if (/token rotate/.test(stage.journey.name) && program !== 'nvidia-smi' && /while the driver is replaced/.test(said))
    complaints.push('it takes a driver away that works');
  if (command === 'status' && program === 'nvidia-smi' && /"state": ?"(licensed|grace|not-required)"/.test(stdout))
    complaints.push('it claims a license that it cannot see');
  return complaints;
}

/** Returns how to make it well again. */
function infect(guest: FolderGuest, program: string, { script }: Ailment): () => void {
  if (script !== undefined) {
    const before = guest.read(`${FIRST_FOLDER}/${program}`);
    guest.write(`${FIRST_FOLDER}/${program}`, script, 0o755);
    return () =>
      before === undefined
        ? guest.remove(`${FIRST_FOLDER}/${program}`)
        : guest.write(`${FIRST_FOLDER}/${program}`, before, 0o755);
  }
  const copies = FOLDERS.flatMap(place => {
    const text = guest.list(place).includes(program) ? guest.read(`${place}/${program}`) : undefined;
    if (text !== undefined) guest.remove(`${place}/${program}`);
    return text === undefined ? [] : [[`${place}/${program}`, text] as const];
  });
  return () => {
    for (const [path, text] of copies) if (guest.read(path) === undefined) guest.write(path, text, 0o755);
  };
}

async function runImpatiently(guest: FolderGuest, command: readonly string[]): Promise<{ ran: Ran; bytes: number }> {
  const measured = join(folder, guest.root.split('/').at(-1) ?? '');
  const argv = [IMPATIENT, measured, String(PATIENCE), ...command, '--root', guest.root];
  const { promise, resolve } = Promise.withResolvers<Ran>();
  const options = {
    env: { LANG: 'C.UTF-8', ...RUN_TIMEOUT },
    maxBuffer: 256 * 1024 ** 2,
    timeout: LONGEST_MS + 30_000,
  };
  const child = execFile(process.execPath, argv, options, (error, stdout, stderr) => {
    const code = error ? (typeof error.code === 'number' ? error.code : KILLED) : 0;
    resolve({ code, stdout, stderr });
  });
  child.stdin?.end();
  const ran = await promise;
  return { ran, bytes: ran.code === KILLED ? 0 : Number(readFileSync(measured, 'utf8')) };
}

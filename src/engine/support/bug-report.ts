import { createGunzip } from 'node:zlib';
import { AgentError } from '../../errors.ts';
import type { Guest } from '../../guest/guest.ts';
import type { Got, Source } from './source.ts';

const PROGRAM = 'nvidia-bug-report.sh';
/** Some tens of programs, each of them slow on a guest that is not well; `safeMs`: the driver's own advice where that hangs. */
const TIMES = { fullMs: 120_000, safeMs: 45_000 };
/** What its programs get to end in, when they are told to. */
const KILL_MS = 20_000;
const LIMIT = 12 * 1024 * 1024;
const PACKED_LIMIT = 64 * 1024 * 1024;
/** Empty, of root alone, and gone with the next boot at the latest; also there when the disks are full or read-only. */
const WORKSHOP = '/run/vgpu-guest/bug-report';

/** NVIDIA's own report, unpacked: what is in it has to be looked through as everything else. */
export function bugReport(guest: Guest, times = TIMES): Source {
  return {
    name: 'driver/nvidia-bug-report.log',
    how: `${PROGRAM} --output-file`,
    timeoutMs: times.fullMs + times.safeMs + KILL_MS,
    limit: LIMIT,
    get: async () => {
      const workshop = `${WORKSHOP}-${process.pid}`;
      await using undo = new AsyncDisposableStack();
      undo.defer(() => guest.removeFolder(workshop));
      await guest.removeFolder(workshop);
      await guest.makeDirectory(workshop, 0o700);
      const exposed = await guest.exposure(workshop);
      if (exposed !== undefined) throw new AgentError(`it has no place to write to: others can change ${exposed}`);
      return await report(guest, workshop, times);
    },
  };
}

async function report(guest: Guest, workshop: string, { fullMs, safeMs }: typeof TIMES): Promise<Got> {
  const path = `${workshop}/nvidia-bug-report.log`;
  let outcome = await guest.query([PROGRAM, '--output-file', path], fullMs);
  if (outcome.code === 127) return { is: 'absent', because: `there is no ${PROGRAM}: it comes with the driver` };
  const isSafe = outcome.code === 124;
  if (isSafe) outcome = await guest.query([PROGRAM, '--safe-mode', '--output-file', path], safeMs);
  const mode = isSafe ? ['it hung, so this is of --safe-mode'] : [];
  const notes = [...mode, ...(outcome.code === 0 ? [] : [`exit code ${outcome.code}`])].join('; ');
  const note = notes === '' ? {} : { note: notes };
  const packed = await guest.readStart(`${path}.gz`, PACKED_LIMIT);
  const text = packed === undefined ? undefined : await unpack(Buffer.from(packed, 'latin1'));
  if (text !== undefined) return { is: 'text', ...text, ...note };
  // where there is no gzip it leaves the text
  const plain = await guest.readEnd(path, LIMIT);
  if (plain) return { is: 'text', text: plain.text, isPart: plain.isCut, ...note };
  throw new AgentError(
    `it left no file (${[...mode, `exit code ${outcome.code}`, lastLine(outcome.stderr)].filter(Boolean).join('; ')})`,
  );
}

/** The last part, however large it is; what a cut file has before its cut. */
async function unpack(packed: Buffer): Promise<{ readonly text: string; readonly isPart: boolean }> {
  const gunzip = createGunzip();
  gunzip.end(packed);
  let kept: Buffer[] = [];
  let size = 0;
  let isPart = false;
  try {
    for await (const chunk of gunzip as AsyncIterable<Buffer>) {
      kept.push(chunk);
      size += chunk.length;
      if (size < 2 * LIMIT) continue;
      kept = [Buffer.concat(kept).subarray(-LIMIT)];
      size = LIMIT;
      isPart = true;
    }
  } catch {
    // killed half-way: what came so far is worth reading, and says itself where it ends
  }
  return { text: Buffer.concat(kept).toString('utf8'), isPart };
}

function lastLine(text: string): string {
  return text.trim().split('\n').at(-1) ?? '';
}

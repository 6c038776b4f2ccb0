import { readdir, readFile } from 'node:fs/promises';

/**
 * Whether anything of a process group still runs. What has ended and is only waited for to be noticed does not: under a first process
 * that takes no notice, as in some containers, that stays so for ever.
 */
export async function isGroupRunning(group: number): Promise<boolean> {
  try {
    process.kill(-group, 0);
  } catch {
    return false;
  }
  const pids = (await readdir('/proc').catch(() => [])).filter(name => /^\d+$/.test(name));
  const members = await Promise.all(pids.map(pid => isRunningIn(pid, group)));
  return members.includes(true);
}

/** proc(5): `pid (name) state parent group …`, and a name may hold anything. */
async function isRunningIn(pid: string, group: number): Promise<boolean> {
  const text = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => '');
  const [state, , of] = text.slice(text.lastIndexOf(') ') + 2).split(' ');
  return Number(of) === group && state !== 'Z' && state !== 'X';
}

import type { Argv, Deed } from '../change.ts';
import { CHANGES, labelOf, ORIGINALS, STATE_DIRECTORY } from '../facts/record.ts';
import { parseChangeRecord } from '../formats/change-record.ts';
import type { Guest } from '../guest/guest.ts';
import { failedCommand } from './failed-command.ts';
import { removeUnit } from './own-units.ts';
import { endResume, isPackaged } from './resume.ts';

type Restore = Extract<Deed, { kind: 'restore' }>;

const FIRST_BOOT_UNIT = 'vgpu-guest-first-boot.service';
const TIMEOUT_MS = 120_000;
/** What others than this command still need, or nobody may delete. */
const NEVER_FORGOTTEN = ['set-aside', 'license-watch.json', 'resume.json'];
/** What belongs to a driver that stays. */
const OF_THE_DRIVER = ['driver.json', 'installing.json', 'packages'];

/** The original's bytes in the file's place, with the mode, the owner and the label that it had. */
export async function restore(guest: Guest, { path, original, mode, uid, gid, label }: Restore): Promise<void> {
  await guest.copyFile(original, path, mode);
  const now = await guest.stat(path);
  if (now?.uid !== uid || now.gid !== gid) {
    await guest.setOwner(path, uid, gid);
    await guest.setMode(path, mode); // a change of owner takes special bits away
  }
  if (label === undefined || (await labelOf(guest, path)) === label) return;
  const argv: Argv = ['chcon', label, path];
  const outcome = await guest.run(argv, { timeoutMs: TIMEOUT_MS });
  if (outcome.code !== 0) throw failedCommand(argv, outcome, `restorecon -v ${path}`);
}

/** Neither the resume unit nor that of a new clone runs apply at the next boot. */
export async function endJourney(guest: Guest, { firstBoot }: Extract<Deed, { kind: 'end-resume' }>): Promise<void> {
  await endResume(guest, 'forget-marker');
  if (!firstBoot) return;
  if (!(await isPackaged(guest, FIRST_BOOT_UNIT))) return await removeUnit(guest, FIRST_BOOT_UNIT);
  const argv: Argv = ['systemctl', '--no-reload', 'disable', FIRST_BOOT_UNIT];
  const outcome = await guest.run(argv, { timeoutMs: TIMEOUT_MS });
  if (outcome.code !== 0) throw failedCommand(argv, outcome);
}

/** First what the record speaks of, and the record last: cut anywhere before, the next run knows all that this one knew. */
export async function forgetChanges(guest: Guest, { stays }: Extract<Deed, { kind: 'forget-changes' }>): Promise<void> {
  const read = parseChangeRecord(stays ?? '');
  const record = 'record' in read ? read.record : undefined;
  const kept = record ? Object.keys(record.files) : [];
  await forgetOriginals(guest, kept);
  const wanted = [
    ...NEVER_FORGOTTEN,
    ...(record ? ['changes.json', 'originals'] : []),
    ...(record?.driver ? OF_THE_DRIVER : []),
  ];
  const names = (await guest.list(STATE_DIRECTORY)).filter(name => !wanted.includes(name) && name !== 'changes.json');
  for (const name of names) await guest.removeFolder(`${STATE_DIRECTORY}/${name}`);
  await guest.removeEmptyFolder(`${STATE_DIRECTORY}/set-aside`);
  if (record && stays !== undefined) return await guest.writeText(CHANGES, stays, 0o600);
  await guest.remove(CHANGES);
  await guest.removeEmptyFolder(STATE_DIRECTORY);
}

async function forgetOriginals(guest: Guest, kept: readonly string[], folder = ORIGINALS): Promise<void> {
  for (const name of await guest.list(folder)) {
    const path = `${folder}/${name}`;
    if ((await guest.stat(path))?.kind === 'directory') await forgetOriginals(guest, kept, path);
    else if (!kept.includes(path.slice(ORIGINALS.length))) await guest.remove(path);
  }
  await guest.removeEmptyFolder(folder);
}

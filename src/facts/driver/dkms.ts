import { type DkmsEntry, parseDkmsStatus } from '../../formats/driver/dkms-status.ts';
import type { GuestView, Outcome } from '../../guest/guest.ts';
import type { Look } from '../facts.ts';
import { howItEnded } from '../how-it-ended.ts';
import { DKMS_TREE, readDkmsTree } from './dkms-tree.ts';

/** What DKMS says of the module `nvidia`. */
export interface DkmsStatusFact {
  /** undefined when there is no DKMS. */
  readonly entries: readonly DkmsEntry[] | undefined;
  /** What gave no whole answer: `dkms status: exit code 4`. */
  readonly unanswered: string | undefined;
}

/** What DKMS has of the module `nvidia`; warnings come with its own word alone. */
export interface DkmsFact extends DkmsStatusFact {
  /** Versions for which it has a folder: `dkms status` says nothing of one whose dkms.conf has lost its content. */
  readonly inTree: readonly string[];
}

/** It reads and compares the modules of every kernel, which takes its time. */
const STATUS_TIMEOUT_MS = 120_000;

/** By its tree where that is plain, and else by its own word. */
export async function collectDkms({ guest, fact }: Look): Promise<DkmsFact> {
  const { kernel } = await fact('system');
  const [entries, tree] = await Promise.all([readDkmsTree(guest, kernel), guest.list(DKMS_TREE)]);
  const known = entries ? { entries, unanswered: undefined } : await fact('dkmsStatus');
  return { ...known, inTree: tree.filter(name => /^\d/.test(name)) };
}

/** Its own word, with what it thinks of each module. */
export async function collectDkmsStatus({ guest }: Look): Promise<DkmsStatusFact> {
  const status = await ask(guest);
  return { entries: entriesIn(status), unanswered: isAnswer(status) ? undefined : howItEnded('dkms status', status) };
}

/** As it stands at this moment; undefined when there is no DKMS. */
export async function lookAtDkms(guest: GuestView): Promise<DkmsFact['entries']> {
  return entriesIn(await ask(guest));
}

function ask(guest: GuestView): Promise<Outcome> {
  return guest.query(['dkms', 'status'], STATUS_TIMEOUT_MS);
}

function entriesIn({ code, stdout }: Outcome): DkmsFact['entries'] {
  return code === 127 ? undefined : parseDkmsStatus(stdout).filter(entry => entry.module === 'nvidia');
}

/** Without DKMS there is nothing that it knows. */
function isAnswer({ code, stdout }: Outcome): boolean {
  return code === 127 || (code === 0 && (stdout === '' || parseDkmsStatus(stdout).length > 0));
}

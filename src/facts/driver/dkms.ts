import { type DkmsEntry, parseDkmsStatus } from '../../formats/driver/dkms-status.ts';
import type { GuestView, Outcome } from '../../guest/guest.ts';
import type { Look } from '../facts.ts';
import { howItEnded } from '../how-it-ended.ts';

/** What DKMS knows of the module `nvidia`. */
export interface DkmsFact {
  /** undefined when there is no DKMS. */
  readonly entries: readonly DkmsEntry[] | undefined;
  /** Versions for which it has a folder: `dkms status` says nothing of one whose dkms.conf has lost its content. */
  readonly inTree: readonly string[];
  /** What gave no whole answer: `dkms status: exit code 4`. */
  readonly unanswered: string | undefined;
}

export const DKMS_TREE = '/var/lib/dkms/nvidia';
/** It reads and compares the modules of every kernel, which takes its time. */
const STATUS_TIMEOUT_MS = 120_000;

export async function collectDkms({ guest }: Look): Promise<DkmsFact> {
  const [status, tree] = await Promise.all([ask(guest), guest.list(DKMS_TREE)]);
  return {
    entries: entriesIn(status),
    inTree: tree.filter(name => /^\d/.test(name)),
    unanswered: isAnswer(status) ? undefined : howItEnded('dkms status', status),
  };
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

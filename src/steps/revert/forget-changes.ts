import { due, settled } from '../../change.ts';
import type { Facts } from '../../facts/facts.ts';
import { type ChangeRecord, changeRecordText, isNothing, NOTHING_CHANGED } from '../../formats/change-record.ts';
import { defineStep } from '../step.ts';
import { filesOf, type RevertOptions, refuseUnreadable, standingOf } from './changed-files.ts';
import { removeDriver } from './remove-driver.ts';
import { removePackages } from './remove-packages.ts';
import { present, restoreBlacklist } from './restore-blacklist.ts';
import { eccToRestore, restoreEcc } from './restore-ecc.ts';
import { pendingMoves, restoreFiles } from './restore-files.ts';

const READS = ['record', 'driver', 'installedDriver', 'addedPackages', 'smi'] as const;
type Seen = Pick<Facts, (typeof READS)[number]>;

/** Last of all: what has been put back is no change any more; what has not stays on record, for the next time. */
export const forgetChanges = (options: RevertOptions) =>
  defineStep({
    id: 'forget-changes',
    title: 'Forget what has been put back',
    reads: READS,
    judge(_config, facts, ahead) {
      const { record } = facts;
      const refusal = refuseUnreadable(record);
      if (refusal) return refusal;
      const stays = whatStays(facts, options, ahead);
      const names = namesOf(stays, record.originals, Object.keys(stays.files));
      const strays = (record.state ?? []).filter(name => !names.includes(name));
      const isEmpty = record.state?.length === 0;
      const isKnown = changeRecordText(stays) === changeRecordText(record.record);
      const lost = record.originals.filter(path => !Object.hasOwn(stays.files, path));
      if (strays.length === 0 && !isEmpty && isKnown && lost.length === 0)
        return settled(isNothing(stays) ? 'nothing is recorded any more' : 'on record is what is still changed');
      const because = isNothing(stays) ? 'everything is as it was' : 'some of what is on record is as it was';
      const text = isNothing(stays) ? {} : { stays: changeRecordText(stays) };
      return due({ kind: 'forget-changes', ...text, because });
    },
  });

/** The part of the record that is not undone: by what is seen, and in a plan by what is ahead. */
function whatStays({ record: fact, ...seen }: Seen, options: RevertOptions, ahead: ReadonlySet<string>): ChangeRecord {
  const { record } = fact;
  const driverGoes = ahead.has(removeDriver(options).id);
  const driver = driverGoes ? undefined : present(seen);
  const isBack = (file: Seen['record']['files'][number], stepId: string) =>
    standingOf(file, options).is === 'back' || (ahead.has(stepId) && standingOf(file, options).is === 'due');
  const others = filesOf(fact, 'others').filter(file => !isBack(file, restoreFiles(options).id));
  const ofDriver = filesOf(fact, 'driver').filter(
    file => driver !== undefined || !isBack(file, restoreBlacklist(options).id),
  );
  const kept = new Set([...others, ...ofDriver].map(({ path }) => path));
  const files = Object.fromEntries(Object.entries(record.files).filter(([path]) => kept.has(path)));
  const isNeeded = (folder: string) => [...kept].some(path => path.startsWith(`${folder}/`));
  const packagesGo = ahead.has(removePackages(options).id) ? seen.addedPackages.removable : [];
  const stays: ChangeRecord = {
    ...NOTHING_CHANGED,
    files,
    folders: record.folders.filter(isNeeded),
    moves: ahead.has(restoreFiles(options).id) ? [] : pendingMoves(fact).map(({ from, to }) => ({ from, to })),
    packages: seen.addedPackages.there.filter(name => !packagesGo.includes(name)),
  };
  const { driver: installed } = record;
  const ecc = ahead.has(restoreEcc.id) ? [] : eccToRestore(fact, seen.smi);
  return {
    ...stays,
    ...(installed && driver !== undefined ? { driver: installed } : {}),
    ...(ecc.length > 0 ? { ecc: Object.fromEntries(ecc) } : {}),
    ...(fact.toolkits.length > 0 ? { toolkits: [...fact.toolkits] } : {}),
  };
}

/** What may lie in the folder of this program's own state. */
function namesOf(stays: ChangeRecord, originals: readonly string[], paths: readonly string[]): readonly string[] {
  return [
    ...['license-watch.json', 'resume.json', 'set-aside'],
    ...(isNothing(stays) ? [] : ['changes.json']),
    ...(originals.some(path => paths.includes(path)) ? ['originals'] : []),
    ...(stays.driver ? ['driver.json', 'packages'] : []),
  ];
}

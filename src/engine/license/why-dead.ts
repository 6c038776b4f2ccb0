import type { Config } from '../../config/schema.ts';
import { collect, lookAt } from '../../facts/facts.ts';
import { isRunning } from '../../facts/license/gridd.ts';
import { STATE_FOLDER, stateFolderFault } from '../../facts/surroundings.ts';
import type { GuestView } from '../../guest/guest.ts';
import { lastFailure, lookForSource } from './gridd-talk.ts';

/** Why nvidia-gridd has ended or cannot live, and what to do. */
interface Death {
  /** Each a sentence with what shows it. */
  readonly lines: readonly string[];
  readonly remedy: string;
}

/** As far as it can be seen: what the daemon that was started at `sinceUs` said itself, and what it lacks around it. */
export async function whyDead(guest: GuestView, config: Config, sinceUs: number): Promise<Death | undefined> {
  const [said, lacking] = await Promise.all([
    lookForSource(guest, config).then(source => lastFailure(guest, source, sinceUs)),
    whatLacks(guest, config),
  ]);
  const remedy = said?.remedy ?? lacking?.remedy ?? (said && LOOK_INTO_THE_JOURNAL);
  if (remedy === undefined) return undefined;
  return {
    lines: [
      ...(said ? [`nvidia-gridd: ${said.message} (${said.meaning})`] : []),
      ...(lacking ? [lacking.because] : []),
    ],
    remedy,
  };
}

/** A daemon that cannot keep its state may end without a word; one that runs has found its folder or made it. */
export async function whatLacks(
  guest: GuestView,
  config: Config,
): Promise<{ readonly because: string; readonly remedy: string } | undefined> {
  const { surroundings, gridd } = await collect(lookAt(guest, config), ['surroundings', 'gridd']);
  const fault = stateFolderFault(surroundings);
  if (fault?.at === STATE_FOLDER && isRunning(gridd.unit)) return undefined;
  if (!fault) return undefined;
  const shown = fault.at === STATE_FOLDER ? '' : ` (${fault.at}: ${fault.shows})`;
  return { because: fault.because + shown, remedy: fault.remedy };
}

export const LOOK_INTO_THE_JOURNAL =
  'journalctl -b -u nvidia-gridd says why; mend that, and run vgpu-guest apply again';

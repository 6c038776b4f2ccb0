import { type DriverFault, findDriverFault } from '../../formats/driver/driver-log.ts';
import type { Look } from '../facts.ts';

/** What the kernel says of a driver that is there and does not work; undefined: it works, or nothing known was said. */
export type DriverTroubleFact = { readonly from: string; readonly fault: DriverFault } | undefined;

/** A driver that works is not asked. */
export async function collectDriverTrouble({ fact }: Look): Promise<DriverTroubleFact> {
  const [driver, smi] = await Promise.all([fact('driver'), fact('smi')]);
  if (smi.answers || (!driver.loaded && !driver.onDisk)) return undefined;
  const log = await fact('kernelLog');
  const fault = log.is === 'read' ? findDriverFault(log.driver) : undefined;
  return log.is === 'read' && fault ? { from: log.from, fault } : undefined;
}

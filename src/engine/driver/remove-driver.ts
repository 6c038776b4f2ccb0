import type { RemoveDriver } from '../../change.ts';
import { AgentError } from '../../errors.ts';
import { BEGUN_INSTALL } from '../../facts/driver/begun-install.ts';
import { lookAtDkms } from '../../facts/driver/dkms.ts';
import { kernelsWithModule } from '../../facts/driver/installed-driver.ts';
import { OWN_UNITS } from '../../facts/gpu/gpu-users.ts';
import { installerErrors } from '../../formats/driver/installer-log.ts';
import { exitCodeWords } from '../../formats/signals.ts';
import type { Guest } from '../../guest/guest.ts';
import type { Tell } from '../tell.ts';
import { freeDriver } from './driver-holders.ts';
import { forgetDkms } from './forget-dkms.ts';

const INSTALL_LOG = '/var/lib/nvidia/log';
const LOG_LIMIT_BYTES = 16 * 1024 * 1024;

/** Takes the driver away by its own uninstaller, whose exit code proves nothing: what counts is what is left. */
export async function removeDriver(guest: Guest, deed: RemoveDriver, tell: Tell): Promise<void> {
  await using undo = new AsyncDisposableStack();
  await using units = new AsyncDisposableStack();
  await freeDriver(guest, { graphical: deed.leaveGraphical }, undo, tell, units);
  const outcome = await guest.run(deed.argv, { onLine: line => tell.progress(line) });
  if (!(await guest.stat(INSTALL_LOG))) await leaveNothing(guest, deed.version, tell);
  const left = await whatIsLeft(guest);
  if (left.length > 0) {
    const log = (await guest.readText(deed.log, LOG_LIMIT_BYTES).catch(() => undefined)) ?? '';
    const words = [...installerErrors(log), ...installerErrors(outcome.stderr), outcome.stderr.trim()].filter(Boolean);
    const said = words.slice(0, 3).map(line => `\n  ${line}`);
    throw new AgentError(
      `${deed.argv.join(' ')} ended with ${exitCodeWords(outcome.code)}, and still ${left.join(' and ')}${said.join('')}`,
      { remedy: `read ${deed.log}, take away what it names, and run vgpu-guest revert --driver again` },
    );
  }
  await guest.remove(BEGUN_INSTALL);
  // they went with the driver, so that there is nothing to start again
  units.move();
}

/** It takes a failure of DKMS for a warning, and may leave the link by which its unit was wanted. */
async function leaveNothing(guest: Guest, version: string, tell: Tell): Promise<void> {
  for (const unit of OWN_UNITS) {
    const link = `/etc/systemd/system/multi-user.target.wants/${unit}`;
    const leads = (await guest.stat(link)) !== undefined || (await guest.readLink(link)) === undefined;
    if (!leads) await guest.remove(link);
  }
  const left = (await lookAtDkms(guest))?.some(entry => entry.version === version);
  if (!left) return;
  tell.warn(`DKMS still has nvidia/${version}, and is told to let it go`);
  await forgetDkms(guest, version, tell);
}

async function whatIsLeft(guest: Guest): Promise<readonly string[]> {
  const [log, kernels, dkms] = await Promise.all([
    guest.stat(INSTALL_LOG),
    kernelsWithModule(guest),
    lookAtDkms(guest),
  ]);
  return [
    ...(log ? [`${INSTALL_LOG} is there`] : []),
    ...kernels.map(kernel => `the module nvidia is on disk for ${kernel}`),
    ...(dkms ?? []).map(({ version }) => `DKMS has nvidia/${version}`),
  ];
}

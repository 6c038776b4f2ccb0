import { dirname } from 'node:path/posix';
import type { InstallDriver } from '../../change.ts';
import { AgentError, messageOf } from '../../errors.ts';
import type { Guest } from '../../guest/guest.ts';
import { makeStateFolder } from '../resume.ts';
import { InstallerKilled, runPackage } from '../run-package.ts';
import type { Tell } from '../tell.ts';
import { endInstall } from './begun-install.ts';
import { freeDriver } from './driver-holders.ts';
import { checkDriver, forgetOtherPackages, putBack, rememberPackage } from './put-back-driver.ts';

/** Installs the driver of a .run package. One that takes the place of another has to work; else the other one comes back. */
export async function installDriver(guest: Guest, deed: InstallDriver, tell: Tell): Promise<void> {
  await secure(guest, deed, tell);
  await rememberPackage(guest, deed);
  await using undo = new AsyncDisposableStack();
  await freeDriver(guest, { graphical: deed.leaveGraphical }, undo, tell);
  try {
    await runPackage(guest, deed, tell);
    if (deed.replaces !== undefined) await checkDriver(guest, deed.version);
  } catch (error) {
    if (!(error instanceof AgentError)) throw error;
    const { version, replaces } = deed;
    const failure = replaces ? await putBack(guest, { failed: version, lost: replaces, failure: error }, tell) : error;
    if (!(failure instanceof InstallerKilled)) await endInstall(guest).catch(late => tell.warn(messageOf(late)));
    throw failure;
  }
  await endInstall(guest);
  await forgetOtherPackages(guest, deed);
}

/** What is run is what was judged, and nobody else can change it meanwhile. */
async function secure(guest: Guest, { package: given }: InstallDriver, tell: Tell): Promise<void> {
  const { path, sha256, copy } = given;
  if (copy !== undefined) {
    tell.info(`${path} can be changed by others, or has a name that it cannot read itself by: it is run from ${copy}`);
    await makeStateFolder(guest, dirname(copy));
    await guest.copyLarge(path, copy, 0o600);
  }
  const found = await guest.digest(copy ?? path, 'sha256');
  if (sha256 === undefined || found === sha256) return;
  if (copy !== undefined) await guest.remove(copy);
  throw new AgentError(
    `${path} has changed since it was looked at: its sha256 was ${sha256}, and is ${found ?? 'none'}`,
    {
      remedy: 'find out who writes there, and run vgpu-guest apply again when that has ended',
    },
  );
}

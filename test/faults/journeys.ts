import { execFile } from 'node:child_process';
import { mkdtempSync, readdirSync, readlinkSync, rmSync, statSync, utimesSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { type FolderGuest, type FolderGuestOptions, makeFolderGuest } from '../helpers/folder-guest.ts';
import { makeToken } from '../helpers/token.ts';

/** A guest before a command, as often as it is needed. */
export interface Journey extends Disposable {
  readonly name: string;
  readonly args: readonly string[];
  /** How the command ends undisturbed. */
  readonly code: number;
  /** A guest of its own that stands as every other one of this journey. */
  guest(): Promise<FolderGuest>;
}

export const FAMILIES = ['suse', 'rhel', 'debian'] as const;
export type Family = (typeof FAMILIES)[number];

const WANTED = '/etc/systemd/system/multi-user.target.wants/vgpu-guest-resume.service';
const CONFIG = '/etc/vgpu-guest/config.yaml';
const NEW_TOKEN = '/opt/new.tok';
/** What of a guest goes into its initrd, and makes it stale. */
const CARRIED = ['/etc/modprobe.d', '/etc/dracut.conf.d'];
const A_MOMENT_S = 0.001;
const cp = promisify(execFile);

/** From bare to licensed, what an operator does to a licensed guest, and the way back; each stage is played once, and kept. */
export async function journeysOf(family: Family): Promise<readonly Journey[]> {
  using guest = makeFolderGuest({ family });
  const keep = async (name: string, args: readonly string[], code: number, start = async (_: FolderGuest) => {}) => ({
    name: `${family}, ${name}`,
    args,
    code,
    ...(await freeze(guest, { family }, start)),
  });

  const bare = await keep('bare', ['apply'], 3);
  await expectCode(guest, 3, 'apply');
  const target = readlinkSync(guest.at(WANTED));
  guest.remove(WANTED); // else the boot goes on at once
  await guest.reboot();
  guest.link(WANTED, target);
  const rebooted = await keep('after the reboot', ['apply', '--resume'], 0);
  await expectCode(guest, 0, 'apply', '--resume');

  await guest.reboot();
  const boot = async (thawed: FolderGuest) => void (await thawed.reboot());
  const config = guest.read(CONFIG) ?? '';
  guest.write(NEW_TOKEN, makeToken(), 0o600);
  const rotating = await keep('token rotate', ['token', 'rotate', NEW_TOKEN], 0, boot);
  guest.write(CONFIG, config.replace(guest.tokenPath, NEW_TOKEN));
  const otherToken = await keep('with another token', ['apply'], 0, boot);
  guest.write(CONFIG, config.replace(guest.packagePath, guest.addPackage('580.95.05')));
  const newerDriver = await keep('with a newer driver', ['apply'], 0, boot);
  const reverting = await keep('revert', ['revert', '--driver', '--packages'], 3, boot);
  return [bare, rebooted, rotating, otherToken, newerDriver, reverting];
}

async function freeze(
  guest: FolderGuest,
  options: FolderGuestOptions,
  start: (thawed: FolderGuest) => Promise<void>,
): Promise<Pick<Journey, 'guest'> & Disposable> {
  const frozen = mkdtempSync(join(tmpdir(), 'vgpu-guest-frozen-'));
  await cp('cp', ['-a', `${guest.root}/.`, frozen]);
  return {
    async guest() {
      const thawed = makeFolderGuest(options);
      for (const name of readdirSync(thawed.root)) thawed.remove(`/${name}`);
      await cp('cp', ['-a', `${frozen}/.`, thawed.root]);
      // a copy is as new as the copying: the images must not look older than what they carry, even where the clock was set back meanwhile
      const now = Math.max(Date.now(), ...CARRIED.flatMap(folder => changedMs(thawed, folder))) / 1000 + A_MOMENT_S;
      for (const name of thawed.list('/boot')) utimesSync(thawed.at(`/boot/${name}`), now, now);
      await start(thawed);
      thawed.forgetCalls();
      return thawed;
    },
    [Symbol.dispose]: () => rmSync(frozen, { recursive: true, force: true }),
  };
}

function changedMs(guest: FolderGuest, folder: string): readonly number[] {
  return guest.list(folder).map(name => statSync(guest.at(`${folder}/${name}`)).ctimeMs);
}

async function expectCode(guest: FolderGuest, code: number, ...args: readonly string[]): Promise<void> {
  const ran = await guest.vgpuGuest(args);
  if (ran.code !== code) throw new Error(`${args.join(' ')} ended with ${ran.code}\n${ran.stdout}${ran.stderr}`);
}

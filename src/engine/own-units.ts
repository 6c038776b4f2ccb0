import template from '../../units/vgpu-guest-screen.service';
import type { Argv } from '../change.ts';
import { pathOfUnit } from '../facts/revert/own-units.ts';
import { unitText } from '../formats/systemd-unit.ts';
import type { Guest } from '../guest/guest.ts';
import { failedCommand } from './failed-command.ts';

const SCREEN_UNIT = 'vgpu-guest-screen.service';
const TIMEOUT_MS = 120_000;

/** Patches the configuration of X before it starts, by the same program and the same configuration as now. */
export async function addScreenUnit(
  guest: Guest,
  {
    program = ['/usr/bin/vgpu-guest'],
    resume,
  }: { readonly program?: Argv; readonly resume?: { readonly configPath?: string } },
): Promise<void> {
  const config = resume?.configPath === undefined ? [] : ['--config', resume.configPath];
  const argv = [...program, 'apply', '--only', 'patch-xorg', '--quiet', ...config];
  await guest.writeText(pathOfUnit(SCREEN_UNIT), unitText(template, argv), 0o644);
  await systemctl(guest, 'daemon-reload');
  await systemctl(guest, 'enable', SCREEN_UNIT);
}

export async function removeUnit(guest: Guest, unit: string): Promise<void> {
  await systemctl(guest, 'disable', '--now', unit);
  await guest.remove(`/etc/systemd/system/${unit}`);
  await systemctl(guest, 'daemon-reload');
}

async function systemctl(guest: Guest, ...args: readonly string[]): Promise<void> {
  const argv: Argv = ['systemctl', ...args];
  const outcome = await guest.run(argv, { timeoutMs: TIMEOUT_MS });
  if (outcome.code !== 0) throw failedCommand(argv, outcome);
}

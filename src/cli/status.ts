import { rebootNeeded } from '../engine/plan.ts';
import { lookAt } from '../facts/facts.ts';
import { statusJson, statusText } from '../report/status-report.ts';
import { licenseOf } from '../steps/await-license.ts';
import { EXIT } from './exit.ts';
import type { CommonOptions, Io } from './io.ts';
import { openEyesFor } from './open.ts';
import { judgeAll } from './plan.ts';
import { readConfig } from './settings.ts';

/** The guest at a glance. */
export async function statusCommand(options: CommonOptions, io: Io): Promise<number> {
  const guest = openEyesFor(options, io);
  const { config } = await readConfig(guest, options, io.env);
  const look = lookAt(guest, config);
  const [system, gpus, smi, driver, gridd, virtualization, planned] = await Promise.all([
    look.fact('system'),
    look.fact('gpus'),
    look.fact('smi'),
    look.fact('driver'),
    look.fact('gridd'),
    guest.query(['systemd-detect-virt']),
    judgeAll(guest, config),
  ]);
  // lspci and DMI are slow, and needed only where nothing else knows the names
  const unknown = virtualization.code === 127 || (!smi.answers && gpus.length > 0);
  const hardware = unknown ? await guest.hardware() : { displays: [] };
  const status = statusJson({
    system,
    gpus,
    smi,
    driver,
    gridd,
    hardware,
    virtualization: virtualization.stdout.trim() || hardware.virtualHost || 'unknown',
    license: licenseOf(config, smi),
    rebootNeeded: rebootNeeded(planned),
  });
  io.out(options.json ? JSON.stringify(status, null, 2) : statusText(status));
  return EXIT.settled;
}

/** Exit 0: a reboot is what the guest needs next; 1: it is not. */
export async function rebootRequiredCommand(options: CommonOptions, io: Io): Promise<number> {
  const guest = openEyesFor(options, io);
  const { config } = await readConfig(guest, options, io.env);
  const needed = rebootNeeded(await judgeAll(guest, config));
  if (options.json) io.out(JSON.stringify({ schema: 'vgpu-guest/reboot-required/1', rebootNeeded: needed }, null, 2));
  else if (!options.quiet) io.out(needed ? 'a reboot is needed' : 'no reboot is needed');
  return needed ? 0 : 1;
}

import { lookForAll, plan, rebootNeeded } from '../engine/plan.ts';
import { type Look, lookAt } from '../facts/facts.ts';
import { shownBy } from '../facts/screen/graphics.ts';
import { type StatusJson, statusJson, statusText } from '../report/status-report.ts';
import { journey } from '../steps/index.ts';
import { licenseOf } from '../steps/license/await-license.ts';
import { EXIT } from './exit.ts';
import type { CommonOptions, Io } from './io.ts';
import { openEyesFor } from './open.ts';
import { readConfig } from './settings.ts';

/** The guest at a glance. */
export async function statusCommand(options: CommonOptions, io: Io): Promise<number> {
  const guest = openEyesFor(options, io);
  const { config } = await readConfig(guest, options, io.env);
  const status = await lookAtStatus(lookAt(guest, config));
  if (options.json) io.json(status);
  else io.out(statusText(status));
  return EXIT.settled;
}

/** All that the report needs to know. */
export async function lookAtStatus(look: Look): Promise<StatusJson> {
  const { guest, config } = look;
  const [system, gpus, smi, driver, gridd, kernels, graphics, cuda, virtualization, needsReboot] = await Promise.all([
    look.fact('system'),
    look.fact('gpus'),
    look.fact('smi'),
    look.fact('driver'),
    look.fact('gridd'),
    look.fact('kernels'),
    look.fact('graphics'),
    look.fact('cuda'),
    guest.query(['systemd-detect-virt']),
    needsRebootNext(look),
  ]);
  // DMI and lspci are slow, and asked only where nothing else knows
  const [virtualHost, displayNames] = await Promise.all([
    virtualization.code === 127 ? guest.hardware.virtualHost() : undefined,
    !smi.answers && gpus.length > 0 ? guest.hardware.displayNames() : new Map<string, string>(),
  ]);
  return statusJson({
    system,
    gpus,
    smi,
    driver,
    gridd,
    kernels,
    cuda,
    cudaAsked: config.cuda !== undefined,
    displayNames,
    virtualization: virtualization.stdout.trim() || virtualHost || 'unknown',
    license: licenseOf(config, smi),
    shown: shownBy({ graphics, smi }),
    rebootNeeded: needsReboot,
  });
}

/** Exit 0: a reboot is what the guest needs next; 1: it is not. */
export async function rebootRequiredCommand(options: CommonOptions, io: Io): Promise<number> {
  const guest = openEyesFor(options, io);
  const { config } = await readConfig(guest, options, io.env);
  const needed = await needsRebootNext(lookAt(guest, config));
  if (options.json) io.json({ schema: 'vgpu-guest/reboot-required/1', rebootNeeded: needed });
  else if (!options.quiet) io.out(needed ? 'a reboot is needed' : 'no reboot is needed');
  return needed ? 0 : 1;
}

async function needsRebootNext(look: Look): Promise<boolean> {
  return rebootNeeded(plan(journey, look.config, await lookForAll(journey, look)));
}

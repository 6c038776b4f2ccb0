/**
 * A guest to try things by hand: boots a bare one with the program, a driver package, a token and a configuration in it, and gives its
 * console to this terminal. A reboot in it is a reboot, `poweroff` ends it, and nothing of it is kept.
 *
 *   node test/guest/vm/shell.ts [bare|ready]
 */
import { requireMachine } from '../image.ts';
import { startLicenseService } from '../license/service.ts';
import { NotRun } from '../not-run.ts';
import { furnish, SERVICE_ADDRESS, SERVICE_NAME, VGPU } from './bed.ts';
import { type Furnishing, openDisks } from './disks.ts';
import { VM_PROGRAMS } from './qemu.ts';
import { createVm } from './vm.ts';

const WELCOME = `
This guest has an NVIDIA vGPU without silicon, nouveau, a driver package and a token in /opt, and /etc/vgpu-guest/config.yaml.
The license service answers on the machine around it. Try:

  vgpu-guest plan
  vgpu-guest apply       and, when it asks for it: reboot
  vgpu-guest status
  poweroff               ends the guest

`;

async function main(furnishing: Furnishing, signal: AbortSignal): Promise<void> {
  await requireMachine(VM_PROGRAMS);
  const log = (line: string) => console.error(line);
  const disks = await openDisks(furnishing, log, signal);
  await using service = await startLicenseService({ hosts: [SERVICE_NAME, SERVICE_ADDRESS], signal });
  await using vm = await createVm({
    name: 'guest',
    disks,
    gpus: [VGPU],
    onTerminal: true,
    log: () => undefined,
    signal,
  });
  await furnish({ vm, service, kernel: disks.kernel, signal });
  await vm.write('/etc/motd', WELCOME, 0o644);
  // the terminal has logged in before there was something to read
  await vm.succeed(['systemctl', 'restart', 'serial-getty@ttyS0.service']);
  while ((await vm.waitForEnd()) === 'reset') await vm.boot();
}

const stop = new AbortController();
for (const signal of ['SIGTERM', 'SIGHUP'] as const) {
  process.on(signal, () => stop.abort(new Error(`stopped by ${signal}`)));
}
try {
  const [furnishing = 'bare'] = process.argv.slice(2);
  if (furnishing !== 'bare' && furnishing !== 'ready') throw new NotRun(`there is no ${furnishing} guest: bare, ready`);
  await main(furnishing, stop.signal);
} catch (error) {
  process.exitCode = 1;
  console.error(error instanceof NotRun ? `not run: ${error.message}` : error);
}

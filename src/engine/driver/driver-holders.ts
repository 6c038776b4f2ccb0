import { messageOf } from '../../errors.ts';
import { OWN_UNITS } from '../../facts/gpu/gpu-users.ts';
import { LEFT_GRAPHICAL } from '../../facts/screen/screen.ts';
import type { Guest, RunOptions } from '../../guest/guest.ts';
import { failedCommand } from '../failed-command.ts';
import type { Tell } from '../tell.ts';

const SERVICE_TIMEOUT_MS = 120_000;
/** What was taken away comes back, however the installation ends. */
const PUT_BACK = { evenWhenStopped: true } as const;

/** What keeps the driver in memory leaves, and comes back when the stack is disposed of; `units`: that of what the driver brings. */
export async function freeDriver(
  guest: Guest,
  what: { readonly graphical: boolean },
  undo: AsyncDisposableStack,
  tell: Tell,
  units = undo,
): Promise<void> {
  // a run that was killed has left it, and could not come back
  const wasLeft = (await guest.stat(LEFT_GRAPHICAL)) !== undefined;
  if (what.graphical || wasLeft) undo.defer(() => comeBack(guest, tell));
  if (what.graphical) {
    await guest.writeText(LEFT_GRAPHICAL, '', 0o644);
    await isolate(guest, 'multi-user.target', tell);
  }
  await stopHolders(guest, units, tell);
}

async function comeBack(guest: Guest, tell: Tell): Promise<void> {
  try {
    await isolate(guest, 'graphical.target', tell, PUT_BACK);
    await guest.remove(LEFT_GRAPHICAL);
  } catch (error) {
    tell.warn(messageOf(error));
  }
}

async function isolate(guest: Guest, target: string, tell: Tell, options: RunOptions = {}): Promise<void> {
  tell.info(`systemctl isolate ${target}`);
  const argv = ['systemctl', 'isolate', target] as const;
  const outcome = await guest.run(argv, { timeoutMs: SERVICE_TIMEOUT_MS, ...options });
  if (outcome.code !== 0) throw failedCommand(argv, outcome);
}

/** The installer gives up when it cannot take the old driver out of memory. */
async function stopHolders(guest: Guest, undo: AsyncDisposableStack, tell: Tell): Promise<void> {
  for (const unit of OWN_UNITS) {
    if ((await guest.query(['systemctl', 'is-active', unit])).stdout.trim() !== 'active') continue;
    tell.info(`${unit} is stopped while the driver is replaced`);
    undo.defer(async () => {
      const started = await guest.run(['systemctl', 'start', unit], { timeoutMs: SERVICE_TIMEOUT_MS, ...PUT_BACK });
      if (started.code !== 0) tell.warn(failedCommand(['systemctl', 'start', unit], started).message);
    });
    const stopped = await guest.run(['systemctl', 'stop', unit], { timeoutMs: SERVICE_TIMEOUT_MS });
    if (stopped.code !== 0) tell.warn(failedCommand(['systemctl', 'stop', unit], stopped).message);
  }
}

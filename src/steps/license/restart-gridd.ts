import { blocked, type Change, due, settled } from '../../change.ts';
import type { Config } from '../../config/schema.ts';
import type { Facts } from '../../facts/facts.ts';
import { failureOf, GRIDD_BINARY, GRIDD_UNIT, isRunning } from '../../facts/license/gridd.ts';
import { asksForLicense, virtualization } from '../../facts/license/licensing.ts';
import { defineStep } from '../step.ts';
import { configureGridd } from './configure-gridd.ts';
import { bringDriver } from './missing-driver.ts';
import { placeToken } from './place-token.ts';

/** Lets the daemon run with what lies on disk now: it reads its files when it starts, and never starts again by itself. */
export const restartGridd = defineStep({
  id: 'restart-gridd',
  title: 'Let nvidia-gridd read its configuration',
  reads: ['gridd', 'token', 'driver', 'smi', 'gpus', 'system'],
  judge(config, facts, ahead) {
    const { unit } = facts.gridd;
    const asked = asksForLicense(config);
    // a vGPU needs its license even where the cloud brings it
    const needed = asked || virtualization(facts).mode === 'vgpu';
    // also before the driver comes: its installer makes no unit where it finds no systemd
    if (asked && unit.load === 'unknown') return WITHOUT_SYSTEMD;
    if (ahead.has('install-driver') && !isRunning(unit)) {
      return needed
        ? due(restart('the driver, which brings nvidia-gridd, is about to be installed or loaded'))
        : settled(NOT_NEEDED);
    }
    if (unit.load === 'masked' && needed) {
      return blocked(`${GRIDD_UNIT} is masked, so that it cannot start`, `systemctl unmask ${GRIDD_UNIT}`);
    }
    if (unit.load !== 'loaded' || !facts.gridd.binary) return asked ? absent(config, facts) : settled(NOT_NEEDED);

    const because = staleness(config, facts, ahead);
    if (!isRunning(unit) && !needed) return settled(NOT_NEEDED);
    const changes: readonly Change[] = [
      ...(needed && unit.enabled === 'disabled' ? [enable] : []),
      ...(because === undefined ? [] : [restart(because)]),
    ];
    const [first, ...rest] = changes;
    if (first) return due(first, ...rest);
    return settled(
      ahead.has('install-driver')
        ? 'nvidia-gridd starts again with the driver that is about to be installed'
        : 'nvidia-gridd runs with the present configuration',
    );
  },
});

const WITHOUT_SYSTEMD = blocked(
  'systemd does not answer, so nvidia-gridd cannot be started',
  'run it on a guest that systemd has booted',
);
const NOT_NEEDED = 'no license is asked for, so nvidia-gridd need not run';

type Reads = Pick<Facts, 'gridd' | 'token' | 'driver' | 'system'>;

function restart(because: string): Change {
  return { kind: 'service', unit: GRIDD_UNIT, action: 'restart', because };
}

const enable: Change = {
  kind: 'service',
  unit: GRIDD_UNIT,
  action: 'enable',
  because: 'nvidia-gridd does not start at boot',
};

/** Why there is no daemon to restart, as far as it can be seen. */
function absent(config: Config, { gridd, driver }: Reads) {
  const version = driver.onDisk ?? driver.installed ?? driver.loaded;
  if (version === undefined) {
    return blocked('a license is asked for, and no NVIDIA driver is installed', bringDriver(config));
  }
  const lacking = gridd.binary ? `no ${GRIDD_UNIT} that systemd can load (${gridd.unit.load})` : `no ${GRIDD_BINARY}`;
  return blocked(
    `the driver ${version} brings ${lacking}: a license is asked for, and nothing can get it`,
    `install the guest driver of the vGPU release (the -grid.run, in driver.package) without --utility-prefix; a data-center driver has no ${GRIDD_UNIT}`,
  );
}

/** Why the running daemon does not know what lies on disk; undefined when it does. */
function staleness(config: Config, { gridd, token, system }: Reads, ahead: ReadonlySet<string>): string | undefined {
  const { unit, conf, binaryChangedUs } = gridd;
  if (!isRunning(unit)) {
    const failure = failureOf(unit);
    return `nvidia-gridd does not run${failure === undefined ? '' : `: it ${failure}`}`;
  }
  if (ahead.has(configureGridd.id)) return 'gridd.conf is about to change';
  if (ahead.has(placeToken.id)) return 'the token directory is about to change';
  const { startedUs } = unit;
  if (startedUs === undefined) return undefined;
  if (startedUs > system.nowUs)
    return 'nvidia-gridd was started in the future of the clock, so that no file can be compared with it';
  // what comes from the future cannot be compared either, and a restart would not change that
  const isNewer = (changedUs: number | undefined) =>
    changedUs !== undefined && changedUs > startedUs && changedUs <= system.nowUs;
  if (isNewer(binaryChangedUs)) return 'the program nvidia-gridd is newer than the running daemon';
  if (isNewer(conf?.changedUs)) return 'gridd.conf is newer than the running daemon';
  if (config.license.token === undefined && config.license.server === undefined) return undefined;
  // also when a file has left it: nobody knows which of several the daemon has taken
  if (isNewer(token.directoryChangedUs)) return 'the token directory has changed since nvidia-gridd started';
  const entry = token.directory.find(({ changedUs }) => isNewer(changedUs));
  return entry && `${entry.name} in the token directory is newer than the running daemon`;
}

import assert from 'node:assert/strict';
import type { Check } from '../checks.ts';
import { addressOfGpu, begin, cover, GRIDD, type LicenseBed, talkOf, VWS } from './bed.ts';
import { apply, assertBlocked, assertFailed, assertFound, assertLicensed } from './program.ts';

const STATE_FOLDER = '/var/lib/nvidia';
const PID_FILE = '/run/nvidia-gridd/nvidia-gridd.pid';

/** A daemon that is not there, may not start or cannot live. */
export function daemonChecks(bed: LicenseBed): readonly Check[] {
  const { guest } = bed;
  return [
    [
      'a driver without nvidia-gridd is named as such, and the remedy is the package that has one',
      async () => {
        await begin(bed);
        await guest.succeed(['mv', GRIDD, `${GRIDD}.away`]);
        assertBlocked(await apply(bed), /brings no \/usr\/bin\/nvidia-gridd/, /-grid\.run/);
        await assertFound(bed, 'error daemon-missing');
      },
    ],
    [
      'a masked unit is left to whoever masked it',
      async () => {
        await begin(bed);
        await guest.succeed(['systemctl', 'mask', '--quiet', 'nvidia-gridd']);
        assertBlocked(await apply(bed), /masked/, /systemctl unmask nvidia-gridd/);
        await assertFound(bed, 'error daemon-masked');
      },
    ],
    [
      'a disabled unit is enabled, and the license comes',
      async () => {
        await begin(bed);
        await guest.succeed(['systemctl', 'disable', '--quiet', 'nvidia-gridd']);
        assertLicensed(await apply(bed), VWS);
        await guest.succeed(['systemctl', 'is-enabled', 'nvidia-gridd']);
      },
    ],
    [
      'a module of another version than the daemon ends the daemon, and the program asks for the reboot that is due',
      async () => {
        await begin(bed);
        await cover(bed, '/sys/module/nvidia/version', '550.144.03\n');
        await guest.fail(['systemctl', 'start', 'nvidia-gridd'], 1);
        assert.match(await talkOf(bed), /^Failed to initialise RM client\nShutdown \(\d+\)$/m);
        const plan = JSON.parse(await guest.succeed(['vgpu-guest', 'plan', '--json']));
        const [step] = plan.steps.filter(({ id }: { id: string }) => id === 'install-driver');
        assert.equal(step.verdict.is, 'due');
        assert.match(step.verdict.because ?? step.verdict.changes[0].because, /550\.144\.03 is in memory/);
        await assertFound(bed, 'error driver-versions-differ');
      },
    ],
    [
      'a GPU that cannot be licensed lets the daemon end, which systemd calls a success',
      async () => {
        await begin(bed);
        const address = await addressOfGpu(bed);
        await cover(bed, `/sys/bus/pci/devices/${address}/class`, '0x040300\n');
        await guest.succeed(['systemctl', 'start', 'nvidia-gridd']);
        const shown = await guest.succeed(['systemctl', 'show', 'nvidia-gridd', '-p', 'ActiveState,Result']);
        assert.deepEqual(shown.trim().split('\n').sort(), ['ActiveState=inactive', 'Result=success']);
        assert.match(await talkOf(bed), /^Licensing not supported for GPUs in the system\nFailed to handle license/m);
        await assertFound(bed, 'error gpu-missing');
      },
    ],
    [
      'a state folder that cannot be written ends the daemon without a word, and the program names the mount',
      async () => {
        await begin(bed);
        await cover(bed, STATE_FOLDER, { '/log': await guest.succeed(['cat', `${STATE_FOLDER}/log`]) });
        await guest.succeed(['mount', '-o', 'remount,bind,ro', STATE_FOLDER]);
        assertFailed(
          await apply(bed),
          /\/var\/lib\/nvidia is on a file system that is mounted read-only \(\/proc\/self\/mounts: .* ro\b/,
          /remount,rw/,
        );
        await assertFound(bed, 'error state-folder');
      },
    ],
    [
      'a second daemon and an option that it does not know are refused',
      async () => {
        await begin(bed);
        assertLicensed(await apply(bed), VWS);
        assert.equal(await refusalOf(), 'nvidia-gridd: already running\n');
        assert.equal(await refusalOf('--fast'), 'nvidia-gridd: unrecognized option: --fast\n');
      },
    ],
    [
      'a daemon that runs has left its terminal, and holds the device of the driver open',
      async () => {
        await begin(bed);
        await guest.succeed(['sh', '-c', 'test -e /dev/nvidiactl || touch /dev/nvidiactl']);
        await guest.succeed(['systemctl', 'start', 'nvidia-gridd']);
        const pid = (await guest.succeed(['cat', PID_FILE])).trim();
        assert.equal(await guest.succeed(['systemctl', 'show', 'nvidia-gridd', '-p', 'MainPID']), `MainPID=${pid}\n`);
        const open = await guest.succeed(['sh', '-c', 'readlink "/proc/$1/fd/"*', 'sh', pid]);
        assert.deepEqual(open.split('\n').slice(0, 3), ['/dev/null', '/dev/null', '/dev/null']);
        assert.match(open, /^\/dev\/nvidiactl$/m);
      },
    ],
  ];

  /** What it says when it is started by hand; into a file, as a daemon that starts all the same would keep a pipe open. */
  async function refusalOf(...flags: readonly string[]): Promise<string> {
    const script = '"$@" >/run/refusal 2>&1; code=$?; cat /run/refusal; exit $code';
    return (await guest.fail(['sh', '-c', script, 'sh', GRIDD, ...flags], 1)).stdout;
  }
}

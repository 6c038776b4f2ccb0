import assert from 'node:assert/strict';
import type { Check } from '../checks.ts';
import { begin, ERA_UNIT, griddOf, type LicenseBed, SERVICE_HOST, VWS } from './bed.ts';

const DAEMON = '/root/nvidia-gridd';
const LOADED = '/root/loaded-version';
/** Of a busy machine: its first question is the one that is answered. */
const UNHURRIED_S = 5;

/** The stand-in by token: its words are those of its branch, so that the program meets each of them. */
export function eraChecks(bed: LicenseBed): readonly Check[] {
  return ['470.256.02', '510.108.03', '525.147.05', '550.144.03'].map(version => [
    `the daemon of R${version.slice(0, 3)} speaks as its branch does`,
    async () => {
      const scene = { directory: { 'a.tok': bed.service.token() }, griddConf: '# nothing is set\n' };
      await begin(bed, { ...scene, retryS: UNHURRIED_S });
      assert.deepEqual(await talkInEra(bed, version), [
        ...(version < '535' ? ['Configuration parameter ( ServerAddress  FeatureType) not set'] : []),
        'vGPU Software package (0)',
        `Ignore service provider ${version < '510' ? '' : 'and node-locked '}licensing`,
        'NLS initialized',
        `Acquiring license. (Info: ${SERVICE_HOST}; ${VWS})`,
        `License acquired successfully. (Info: ${SERVICE_HOST}, ${VWS}; Expiry: DATE GMT)`,
        `License returned successfully. (Info: ${SERVICE_HOST})`,
      ]);
    },
  ]);
}

/** The same with a legacy server. */
export function legacyEraChecks(bed: LicenseBed): readonly Check[] {
  const url = `http://${SERVICE_HOST}:${bed.service.legacyPort}/request`;
  const griddConf = `ServerAddress=${SERVICE_HOST}\nServerPort=${bed.service.legacyPort}\n`;
  return ['450.248.02', '470.256.02', '510.108.03'].map(version => [
    `the daemon of R${version.slice(0, 3)} speaks to a legacy server as its branch does`,
    async () => {
      await begin(bed, { griddConf, retryS: UNHURRIED_S });
      const product = version < '460' ? 'Quadro Virtual Data Center Workstation' : VWS;
      if (version < '460') bed.service.setPool(product, 1);
      assert.deepEqual(await talkInEra(bed, version), [
        'Configuration parameter ( FeatureType) not set',
        ...(version < '470'
          ? []
          : ['vGPU Software package (0)', 'Unable to fetch the client configuration token file']),
        'Ignore service provider licensing',
        ...(version < '471' ? ['Service provider detection complete.', 'Calling load_byte_array(tra)'] : []),
        `Acquiring license. (Info: ${url}; ${product})`,
        version < '470'
          ? `License acquired successfully. (Info: ${url}; Quadro-Virtual-DWS,5.0)`
          : `License acquired successfully. (Info: ${url}, ${product}; Expiry: DATE GMT)`,
        `License returned successfully. (Info: ${url})`,
      ]);
    },
  ]);
}

/** What it says between its start and its end, beside a module of its own version. */
async function talkInEra({ guest }: LicenseBed, version: string): Promise<readonly string[]> {
  await guest.write(DAEMON, await griddOf(version), 0o755);
  await guest.write(LOADED, `${version}\n`, 0o644);
  const beside = `--property=BindReadOnlyPaths=${LOADED}:/sys/module/nvidia/version`;
  await guest.succeed(['systemd-run', '--quiet', `--unit=${ERA_UNIT}`, '--service-type=forking', beside, DAEMON]);
  await guest.waitUntilSucceeds(['sh', '-c', 'journalctl -b -t nvidia-gridd -o cat | tail -n 1 | grep acquired']);
  await guest.succeed(['systemctl', 'stop', ERA_UNIT]);
  // journald reads its socket when it comes to it
  await guest.waitUntilSucceeds(['sh', '-c', 'journalctl -b -t nvidia-gridd -o cat | tail -n 1 | grep Shutdown']);
  const all = await guest.succeed(['journalctl', '--boot', '--output=cat', '--identifier=nvidia-gridd']);
  const lines = all
    .trim()
    .replaceAll(/\d{4}-\d+-\d+ \d+:\d+:\d+/g, 'DATE')
    .split('\n');
  // between the lines with which each run begins and ends
  return lines.slice(lines.findLastIndex(line => line.startsWith('Started (')) + 1, -1);
}

import type { Config } from '../config/schema.ts';
import type { Facts } from '../facts/facts.ts';
import { failureOf, GRIDD_BINARY, GRIDD_CONF, GRIDD_UNIT, isRunning } from '../facts/license/gridd.ts';
import { tokenChangedUs } from '../facts/license/token-files.ts';
import { STATE_FOLDER, stateFolderFault } from '../facts/surroundings.ts';
import { timeOf } from '../formats/time.ts';
import { defineSubject, evidence, type Found, seen, unknown } from './check.ts';
import {
  confEvidence,
  confValue,
  earlierEvidence,
  gravity,
  hasEnd,
  isLicensed,
  logEvidence,
  needsLicense,
  standing,
  unitEvidence,
} from './situation.ts';

/** A daemon that is alive has said what it does by then. */
const SILENCE_S = 60;

/** The licensing daemon's unit, and what it needs around it. */
export const daemon = defineSubject({
  id: 'daemon',
  title: 'nvidia-gridd',
  reads: ['gridd', 'griddLog', 'surroundings', 'tokenFiles', 'smi', 'gpus', 'system'],
  saw(_config, { gridd: { unit } }) {
    if (unit.load === 'unknown') return unknown('systemd does not answer');
    if (unit.load !== 'loaded') return seen(`its unit is ${unit.load}`);
    const since = unit.startedUs === undefined ? '' : ` since ${timeOf(unit.startedUs)}`;
    return seen(`${unit.active}${since}, ${unit.enabled || 'not known whether enabled'}`);
  },
  checks: [
    {
      id: 'daemon-masked',
      causes: [34],
      judge: (config, facts) =>
        facts.gridd.unit.load !== 'masked' || !needsLicense(config, facts)
          ? undefined
          : {
              severity: 'error',
              summary: `${GRIDD_UNIT} is masked, so that nothing can start it`,
              cause: 'an administrator or the image has masked it',
              remedy: `systemctl unmask ${GRIDD_UNIT} && systemctl enable --now ${GRIDD_UNIT}`,
              evidence: [unitEvidence(facts.gridd)],
            },
    },
    {
      id: 'state-folder',
      causes: [35],
      judge(config, facts): Found | undefined {
        const { surroundings, gridd, griddLog } = facts;
        const fault = stateFolderFault(surroundings);
        const refused = standing(griddLog, 'cannot-write');
        if (!needsLicense(config, facts) || !gridd.binary || (!fault && refused.length === 0)) return undefined;
        // a daemon that runs has found it or made it
        const works = isRunning(gridd.unit) && refused.length === 0;
        return {
          severity: works ? 'warning' : 'error',
          summary: fault?.because ?? 'nvidia-gridd cannot write what it keeps',
          cause: fault
            ? 'nvidia-gridd keeps there what it knows of its license, and may end where it cannot'
            : `its log says so; ${STATE_FOLDER}, where it keeps what it knows, can be written as far as it can be seen`,
          remedy:
            fault?.remedy ??
            'df and mount show which file system is full or read-only; then systemctl restart nvidia-gridd',
          evidence: [
            ...(fault ? [evidence(fault.at, fault.shows)] : []),
            ...logEvidence(griddLog, refused),
            unitEvidence(gridd),
          ],
        };
      },
    },
    {
      id: 'daemon-dead',
      causes: [],
      judge(config, facts): Found | undefined {
        const { gridd, griddLog } = facts;
        const { unit } = gridd;
        if (unit.load !== 'loaded' || isRunning(unit) || !gridd.binary || !needsLicense(config, facts))
          return undefined;
        // a reason that it gave itself stands in a finding of its own
        if (
          standing(griddLog, 'bad-token', 'no-licensable-gpu', 'no-module', 'feature-type', 'cannot-write').length > 0
        )
          return undefined;
        const failure = failureOf(unit);
        const isEnding = isLicensed(facts.smi) && hasEnd(facts.smi);
        const kept = isEnding ? ', so that nobody renews the license that the GPU still has' : '';
        return {
          severity: isEnding ? 'error' : gravity(facts.smi),
          summary: `nvidia-gridd ${failure ?? 'does not run'}${kept}`,
          cause: failure
            ? 'its log may tell why; its unit does not start it again'
            : 'nobody has started it, or it was stopped',
          remedy: failure
            ? 'vgpu-guest apply starts it again; if it ends again: journalctl -b -u nvidia-gridd, mend what it says, then systemctl reset-failed nvidia-gridd && systemctl restart nvidia-gridd'
            : 'vgpu-guest apply starts it; by hand: systemctl enable --now nvidia-gridd',
          evidence: [
            unitEvidence(gridd),
            ...(griddLog.is === 'read' ? logEvidence(griddLog, griddLog.said.slice(-3)) : []),
            ...earlierEvidence(griddLog),
          ],
        };
      },
    },
    {
      id: 'daemon-not-enabled',
      causes: [34],
      judge: (config, facts) =>
        facts.gridd.unit.enabled !== 'disabled' || !needsLicense(config, facts)
          ? undefined
          : {
              severity: 'warning',
              summary: 'nvidia-gridd does not start at boot',
              cause: 'its unit is disabled',
              remedy: `systemctl enable ${GRIDD_UNIT}; vgpu-guest apply does so too`,
              evidence: [unitEvidence(facts.gridd)],
            },
    },
    {
      id: 'daemon-outdated',
      causes: [],
      judge(config, facts): Found | undefined {
        const { gridd, griddLog, system, smi, tokenFiles } = facts;
        const { startedUs } = gridd.unit;
        const newer = [
          { at: GRIDD_CONF, changedUs: gridd.conf?.changedUs },
          { at: GRIDD_BINARY, changedUs: gridd.binaryChangedUs },
          ...(hasTaken(griddLog) ? [] : [{ at: tokenFiles.path, changedUs: tokenChangedUs(tokenFiles, system.nowUs) }]),
        ].filter(({ changedUs = 0 }) => startedUs !== undefined && changedUs > startedUs && changedUs <= system.nowUs);
        const [first] = newer;
        if (!first || startedUs === undefined) return undefined;
        return {
          severity: isLicensed(smi) || !needsLicense(config, facts) ? 'warning' : 'error',
          summary: `nvidia-gridd runs since before ${first.at} was changed last`,
          cause: 'it reads its files when it starts; what it said before that is no evidence of how things stand now',
          remedy: restartRemedy(config),
          evidence: [
            ...newer.map(({ at, changedUs = 0 }) => evidence(at, `changed ${timeOf(changedUs)}`)),
            evidence(`systemctl show ${GRIDD_UNIT}`, `InactiveExitTimestamp=${timeOf(startedUs)}`),
            ...earlierEvidence(griddLog),
          ],
        };
      },
    },
    {
      id: 'daemon-silent',
      causes: [32],
      judge(config, facts): Found | undefined {
        const { gridd, griddLog, system, smi } = facts;
        const { startedUs } = gridd.unit;
        if (griddLog.is === 'unknown' || startedUs === undefined || isLicensed(smi) || !needsLicense(config, facts))
          return undefined;
        const words = [...griddLog.said, ...griddLog.earlier].filter(
          ({ kind, atUs = startedUs }) => kind !== 'started' && atUs >= startedUs,
        );
        if (words.length > 0 || system.nowUs - startedUs < SILENCE_S * 1e6) return undefined;
        return {
          severity: 'warning',
          summary: 'nvidia-gridd runs and has said nothing since it started',
          cause: 'its lines may not reach the log, or it is still looking for a cloud that brings the license',
          remedy:
            'see whether the system\'s log works (logger -t nvidia-gridd test, then journalctl -t nvidia-gridd); outside a cloud set IgnoreSP: "TRUE" under gridd: in /etc/vgpu-guest/config.yaml and run vgpu-guest apply',
          evidence: [
            unitEvidence(gridd),
            evidence(griddLog.from, 'no line after Started'),
            evidence(`systemctl show ${GRIDD_UNIT}`, `InactiveExitTimestamp=${timeOf(startedUs)}`),
          ],
        };
      },
    },
    {
      id: 'dbus-policy-missing',
      causes: [],
      judge: (config, facts) =>
        facts.surroundings.dbusPolicy !== undefined || !facts.gridd.binary || !needsLicense(config, facts)
          ? undefined
          : {
              severity: 'info',
              summary: 'the D-Bus policy of nvidia-gridd is not there',
              cause:
                'the driver may have been installed without it; then nvidia-settings cannot ask the daemon about its license',
              remedy:
                'install the driver again as the -grid.run does it (driver.package, vgpu-guest apply) if somebody needs that page',
              evidence: [evidence('/etc/dbus-1/system.d/nvidia-grid.conf', 'not there')],
            },
    },
    {
      id: 'azure-license',
      causes: [33],
      judge(config, facts): Found | undefined {
        const { azure } = facts.surroundings;
        if (!azure || bringsItsOwn(config, facts) || isLicensed(facts.smi) || !needsLicense(config, facts))
          return undefined;
        const deadDaemon = !azure.keyValueDaemon.some(({ active }) => active === 'active');
        const keys = confEvidence(facts.gridd, 'IgnoreSP', 'FeatureType');
        const refuses =
          confValue(facts.gridd, 'IgnoreSP')?.toUpperCase() !== 'FALSE' ||
          confValue(facts.gridd, 'FeatureType') === '0';
        if (!deadDaemon && !refuses) return undefined;
        return {
          severity: 'error',
          summary: 'this is a guest of Azure, and what it needs for the license of Azure is not in place',
          cause: [
            ...(deadDaemon
              ? ['the key-value daemon, by which Azure tells its guests about the license, may not run']
              : []),
            ...(refuses
              ? [
                  'gridd.conf may keep nvidia-gridd from asking Azure: IgnoreSP=FALSE and no FeatureType=0 are what Azure documents',
                ]
              : []),
          ].join('; '),
          remedy: `${deadDaemon ? `systemctl enable --now ${azure.keyValueDaemon[0]?.unit ?? 'the key-value daemon of this distribution (hv-kvp-daemon, hypervkvpd or hv_kvp_daemon, from its Hyper-V package)'}; ` : ''}set IgnoreSP: "FALSE" under gridd: in /etc/vgpu-guest/config.yaml, take FeatureType=0 out of gridd.conf, and run vgpu-guest apply; with a token of your own none of it is needed`,
          evidence: [
            evidence(azure.evidence.at, azure.evidence.shows),
            ...azure.keyValueDaemon.map(({ unit, active }) =>
              evidence(`systemctl show ${unit}`, `ActiveState=${active}`),
            ),
            ...keys,
          ],
        };
      },
    },
  ],
});

/** Since the token was changed it has read one: it looks again while it has none. */
function hasTaken(log: Facts['griddLog']): boolean {
  return log.is === 'read' && log.said.some(({ sign, kind }) => sign === 'token-read' || kind === 'success');
}

function restartRemedy(config: Config): string {
  return config.license.token || config.license.server
    ? 'vgpu-guest apply restarts it'
    : 'systemctl restart nvidia-gridd';
}

/** A token or a server of one's own, so that no cloud is asked. */
function bringsItsOwn({ license }: Config, { tokenFiles, gridd }: Pick<Facts, 'tokenFiles' | 'gridd'>): boolean {
  const named = license.token !== undefined || license.server !== undefined;
  return named || tokenFiles.files.length > 0 || confValue(gridd, 'ServerAddress') !== undefined;
}

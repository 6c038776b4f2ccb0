import { defineSubject, evidence, type Found, seen, unknown } from './check.ts';
import { isLicensed, licenseEvidence, logEvidence, needsLicense, standing, unitEvidence } from './situation.ts';

/** A daemon gets its license within seconds; a legacy server may take two minutes. */
const PATIENCE_S = 120;

/** The last word: what nvidia-smi says. */
export const license = defineSubject({
  id: 'license',
  title: 'the license',
  reads: ['smi', 'gpus', 'gridd', 'driver', 'tokenFiles', 'griddLog', 'system'],
  saw(config, facts) {
    const { smi } = facts;
    if (!smi.answers) return unknown(smi.problem);
    const said = smi.gpus.flatMap(({ address, license: found }) =>
      found ? [`${address}: ${found.product ?? 'no product'}, ${found.raw}`] : [],
    );
    if (said.length > 0) return seen(said.join('; '));
    return seen(`nvidia-smi shows no licensing section${needsLicense(config, facts) ? '' : ', and none is asked for'}`);
  },
  checks: [
    {
      id: 'nvidia-smi-fails',
      causes: [],
      judge(_config, { driver: { loaded }, smi }) {
        if (!loaded || smi.answers || /version mismatch/i.test(smi.problem)) return undefined;
        return {
          severity: 'error',
          summary: 'nvidia-smi does not answer, so nobody can say whether the guest is licensed',
          ...whyUnanswered(smi.code),
          evidence: [evidence('nvidia-smi -q -x', smi.problem)],
        };
      },
    },
    {
      id: 'driver-without-licensing',
      causes: [20],
      judge(config, facts): Found | undefined {
        const { smi, gridd } = facts;
        if (!smi.answers || smi.gpus.length === 0 || !needsLicense(config, facts)) return undefined;
        if (smi.gpus.some(gpu => gpu.license !== undefined) || !gridd.binary) return undefined;
        return {
          severity: 'error',
          summary: 'a license is asked for, and nvidia-smi shows no licensing section for any GPU',
          cause: 'the module in memory may be that of a data-center driver, or this GPU takes no license',
          remedy:
            'set driver.package in /etc/vgpu-guest/config.yaml to the -grid.run of the vGPU release that the host runs and run vgpu-guest apply; or take license.token or license.server away',
          evidence: licenseEvidence(smi),
        };
      },
    },
    {
      id: 'unlicensed',
      causes: [38],
      judge(config, facts): Found | undefined {
        const { smi, gridd, griddLog, system } = facts;
        if (!smi.answers || isLicensed(smi) || !needsLicense(config, facts)) return undefined;
        const lacking = smi.gpus.filter(
          ({ license: found }) => found && !['licensed', 'not-required'].includes(found.state),
        );
        if (lacking.length === 0) return undefined;
        const isRestricted = lacking.some(({ license: found }) => found?.state === 'restricted');
        const sinceS = gridd.unit.startedUs === undefined ? undefined : (system.nowUs - gridd.unit.startedUs) / 1e6;
        const isRefused = standing(griddLog).length > 0;
        const isOnItsWay = !isRestricted && !isRefused && sinceS !== undefined && sinceS >= 0 && sinceS < PATIENCE_S;
        const said = griddLog.is === 'read' ? griddLog.said.filter(({ kind }) => kind !== 'noise').slice(-2) : [];
        return {
          severity: isOnItsWay ? 'warning' : 'error',
          summary: isRestricted
            ? 'the GPU has no license, and the driver has slowed it down'
            : `the GPU has no license${lacking.some(({ license: found }) => found?.state === 'grace') ? ' yet, and still runs at full speed' : ''}`,
          cause: isOnItsWay
            ? `nvidia-gridd was started ${Math.round(sinceS)} s ago and may still be on its way`
            : 'nvidia-gridd has not got one; the other findings say why, as far as it can be seen. A GPU without a license starts at full speed and is slowed down later',
          remedy: isOnItsWay
            ? 'vgpu-guest license wait'
            : 'mend the other findings first, then vgpu-guest license wait; where there are none, journalctl -b -t nvidia-gridd has all that the daemon said',
          evidence: [...licenseEvidence(smi), unitEvidence(gridd), ...logEvidence(griddLog, said)],
        };
      },
    },
  ],
});

function whyUnanswered(code: number): Pick<Found, 'cause' | 'remedy'> {
  switch (code) {
    case 0:
      return {
        cause: 'its answer is not whole, or another program has this name; whether the driver works cannot be seen',
        remedy:
          'run nvidia-smi -q -x by hand and look at the end of its answer, and command -v nvidia-smi for which one it is',
      };
    case 127:
      return {
        cause: 'the module is loaded without the programs of its driver',
        remedy:
          'set driver.package in /etc/vgpu-guest/config.yaml to the -grid.run of this version, and run vgpu-guest apply',
      };
    default:
      return {
        cause: 'the driver may not be able to work with the GPU; what the kernel said may tell why',
        remedy: 'look for NVRM in dmesg; reboot if the driver was just installed or upgraded',
      };
  }
}

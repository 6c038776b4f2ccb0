import { BEGUN_INSTALL, CUT_BY } from '../facts/driver/begun-install.ts';
import { GRIDD_BINARY, GRIDD_UNIT } from '../facts/license/gridd.ts';
import { defineSubject, evidence, type Found, seen } from './check.ts';
import { commandsOf } from './commands.ts';
import { logEvidence, needsLicense, standing, unitEvidence, versionEvidence } from './situation.ts';

/** Whether the driver is one that can be licensed, and one and the same everywhere. */
export const driver = defineSubject({
  id: 'driver',
  title: 'the driver',
  reads: ['driver', 'smi', 'gpus', 'gridd', 'tokenFiles', 'griddLog', 'kernelLog', 'system'],
  saw(_config, { driver: { installed, onDisk, loaded, unanswered }, gridd }) {
    if (!installed && !onDisk && !loaded && !unanswered?.modinfo) return seen('no NVIDIA driver');
    const daemon = gridd.binary ? 'with nvidia-gridd' : 'without nvidia-gridd';
    const nothing = unanswered?.modinfo ? `nothing known (${unanswered.modinfo})` : 'none';
    return seen(`${onDisk ?? installed ?? nothing} on disk, ${loaded ?? 'none'} loaded, ${daemon}`);
  },
  checks: [
    {
      id: 'driver-missing',
      causes: [],
      judge: (config, { driver: { installed, onDisk, loaded, unanswered }, gpus, ...facts }) =>
        gpus.length === 0 || installed || onDisk || loaded
          ? undefined
          : {
              severity: 'error',
              summary: 'no NVIDIA driver is installed',
              cause: 'the guest is as bare as its image, or a kernel update came without its module',
              remedy: config.driver.package
                ? 'vgpu-guest apply installs it'
                : 'set driver.package in /etc/vgpu-guest/config.yaml to the -grid.run of the vGPU release that the host runs, and run vgpu-guest apply',
              evidence: [
                evidence('/var/lib/nvidia/log', 'not there'),
                evidence(`modinfo -k ${facts.system.kernel} nvidia`, unanswered?.modinfo ?? 'no such module'),
              ],
            },
    },
    {
      id: 'driver-cut',
      causes: [],
      judge: (_config, { driver: { begun, installed } }) =>
        begun?.cut
          ? {
              severity: 'error',
              summary: `the installation of driver ${begun.version} was cut by ${CUT_BY[begun.cut]}`,
              cause:
                begun.cut === 'signal'
                  ? 'its installer was ended before it was done, so that files of the driver may be missing'
                  : 'what it had written last was not on the disk yet, so that files of the driver may be empty or missing',
              remedy: 'vgpu-guest apply installs it again',
              evidence: [
                evidence(
                  BEGUN_INSTALL,
                  `${begun.version}, ${begun.cut === 'signal' ? 'killed' : 'of an earlier boot'}`,
                ),
                evidence('/var/lib/nvidia/log', installed ?? 'not there'),
              ],
            }
          : undefined,
    },
    {
      id: 'daemon-missing',
      causes: [20],
      judge(config, facts) {
        const { driver: found, gridd } = facts;
        const version = found.onDisk ?? found.loaded ?? found.installed;
        const noUnit = gridd.unit.load === 'not-found';
        if (version === undefined || !needsLicense(config, facts) || (gridd.binary && !noUnit)) return undefined;
        return {
          severity: 'error',
          summary: `the driver ${version} has ${gridd.binary ? `no ${GRIDD_UNIT}` : `no ${GRIDD_BINARY}`}, so nothing can get a license`,
          cause: gridd.binary
            ? 'the driver may have been installed with a prefix of its own, in a container or in a chroot, where its installer makes no unit'
            : 'this is a data-center driver (a CUDA repository brings one), it was installed over the vGPU driver, or the installer ran with a prefix of its own',
          remedy:
            'set driver.package in /etc/vgpu-guest/config.yaml to the -grid.run of the vGPU release that the host runs and run vgpu-guest apply; add no driver of a CUDA repository on top, and give the installer no --utility-prefix',
          evidence: [
            evidence(GRIDD_BINARY, gridd.binary ? 'there' : 'not there'),
            unitEvidence(gridd),
            ...versionEvidence(facts),
          ],
        };
      },
    },
    {
      id: 'driver-not-loaded',
      causes: [13],
      judge(_config, facts) {
        const { driver: found, gpus, kernelLog, griddLog } = facts;
        const taken = gpus.some(({ driver: bound }) => bound !== undefined && bound !== 'nvidia');
        if (!found.onDisk || found.loaded || gpus.length === 0 || taken) return undefined;
        return {
          severity: 'error',
          summary: `the driver ${found.onDisk} is on disk, and the kernel has not loaded it`,
          cause:
            'it was installed without a reboot, the kernel refuses it (an unsigned module under Secure Boot), or it finds no GPU that it can drive',
          remedy:
            'modprobe nvidia, and if that fails dmesg says why; "Key was rejected" means Secure Boot (mokutil --sb-state): sign the module or turn Secure Boot off on the host',
          evidence: [
            evidence('/sys/module/nvidia', 'not there'),
            ...versionEvidence(facts),
            ...logEvidence(griddLog, standing(griddLog, 'no-module')),
            ...(kernelLog.is === 'read' ? kernelLog.driver.slice(-3).map(line => evidence(kernelLog.from, line)) : []),
          ],
        };
      },
    },
    {
      id: 'driver-newer-than-host',
      causes: [16],
      judge(_config, { driver: found, gpus }) {
        const version = found.loaded ?? found.onDisk;
        const gpu = gpus.find(({ host }) => host !== undefined);
        if (!version || !gpu?.host || Number.parseInt(version, 10) <= Number.parseInt(gpu.host.version, 10))
          return undefined;
        return {
          severity: 'warning',
          summary: `the driver ${version} is of a newer branch than the host's ${gpu.host.version}`,
          cause: 'a host accepts guest drivers of its own vGPU release and of the one before, and may refuse this one',
          remedy:
            'set driver.package in /etc/vgpu-guest/config.yaml to the -grid.run of the vGPU release that the host runs and run vgpu-guest apply',
          evidence: [
            evidence(
              `/sys/bus/pci/devices/${gpu.address}/config`,
              `host driver ${gpu.host.version}, branch ${gpu.host.branch}`,
            ),
            ...(found.loaded ? [evidence('/sys/module/nvidia/version', found.loaded)] : []),
          ],
        };
      },
    },
    {
      id: 'driver-versions-differ',
      causes: [13, 14],
      judge(_config, facts): Found | undefined {
        const { driver: found, smi, griddLog, kernelLog, system } = facts;
        const versions = new Set(
          [found.installed, found.onDisk, found.loaded].filter(version => version !== undefined),
        );
        const smiSaysSo = !smi.answers && /version mismatch/i.test(smi.problem);
        const refused = standing(griddLog, 'no-module');
        if (!found.loaded || (versions.size < 2 && !smiSaysSo && refused.length === 0)) return undefined;
        const works = smi.answers && refused.length === 0;
        const kernel =
          kernelLog.is === 'read'
            ? kernelLog.driver.filter(line => /API mismatch|this kernel module has/.test(line))
            : [];
        return {
          severity: works ? 'warning' : 'error',
          summary:
            versions.size < 2
              ? 'programs and kernel module of the driver do not fit each other'
              : `the driver in memory is ${found.loaded}, and on disk there is ${[...versions].filter(version => version !== found.loaded).join(' and ')}`,
          cause:
            found.onDisk === found.loaded
              ? 'a package of another version may have been installed over this driver, or nvidia-gridd was started before the module'
              : 'the driver was upgraded and the old module is still in memory, or an old one in the initrd is loaded at boot',
          remedy: `reboot; if the old module comes back: ${commandsOf(system).rebuildInitrd}, and reboot; vgpu-guest apply installs one version everywhere`,
          evidence: [
            ...versionEvidence(facts),
            ...logEvidence(griddLog, refused),
            ...(kernelLog.is === 'read' ? kernel.slice(-3).map(line => evidence(kernelLog.from, line)) : []),
          ],
        };
      },
    },
  ],
});

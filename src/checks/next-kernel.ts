import { isSignedByStranger } from '../facts/driver/kernels.ts';
import type { Facts } from '../facts/facts.ts';
import { defineSubject, evidence, seen } from './check.ts';

type Seen = Pick<Facts, 'kernels' | 'driver' | 'secureBoot' | 'prerequisites' | 'system'>;

/** Whether the driver outlives the next boot and the next kernel update, as far as DKMS is to see to it. */
export const nextKernel = defineSubject({
  id: 'next-kernel',
  title: 'the kernels to come',
  reads: ['kernels', 'driver', 'dkmsStatus', 'secureBoot', 'prerequisites', 'system'],
  saw(_config, { kernels: { next }, system }) {
    if (!next) return seen(`no other kernel than ${system.kernel} is known to boot next`);
    return seen(`the next boot takes ${next.release}, ${next.onDisk ? `driver ${next.onDisk}` : 'no driver'}`);
  },
  checks: [
    {
      id: 'next-kernel-without-driver',
      causes: [],
      judge(_config, facts) {
        const { next } = facts.kernels;
        const version = versionByDkms(facts);
        if (!next || version === undefined || next.onDisk === version) return undefined;
        return {
          severity: 'warning',
          summary: `the next boot takes ${next.release}, which has ${next.onDisk ? `driver ${next.onDisk}` : 'no NVIDIA driver'}`,
          cause: next.failedBuild
            ? `DKMS could not build driver ${version} for it: a new kernel may need a newer driver`
            : next.headers
              ? 'the kernel was installed while nothing built the driver for it'
              : 'the headers of that kernel are not there, so that DKMS cannot build the driver for it',
          remedy: next.failedBuild
            ? `see what the compiler says in ${next.failedBuild}; install a driver that supports that kernel, or keep booting ${facts.system.kernel}`
            : 'vgpu-guest apply builds it now, with driver.package set',
          evidence: [
            evidence(next.from, next.release),
            evidence(`modinfo -k ${next.release} -F version nvidia`, next.onDisk ?? 'no such module'),
            ...(next.failedBuild ? [evidence(next.failedBuild, 'a build that was given up')] : []),
            evidence(`/lib/modules/${next.release}/build/Makefile`, next.headers ? 'there' : 'not there'),
          ],
        };
      },
    },
    {
      id: 'next-kernel-unsigned',
      causes: [],
      judge(_config, { kernels: { next }, secureBoot }) {
        if (!next?.onDisk || next.signer !== undefined || secureBoot.unsigned !== 'refused') return undefined;
        return {
          severity: 'warning',
          summary: `the next boot takes ${next.release}, and the driver's module for it carries no signature`,
          cause: 'this guest loads signed modules only, and DKMS had no key, or no sign-file, when it built the module',
          remedy: `vgpu-guest apply names the key that is wanting; then dkms install --force -m nvidia -v ${next.onDisk} -k ${next.release}`,
          evidence: [
            evidence(`modinfo -k ${next.release} -F signer nvidia`, 'nothing'),
            ...secureBoot.evidence.map(({ at, shows }) => evidence(at, shows)),
          ],
        };
      },
    },
    {
      id: 'next-kernel-signer-unknown',
      causes: [],
      judge(_config, facts) {
        const { next } = facts.kernels;
        if (!next || !isSignedByStranger(next, facts)) return undefined;
        return {
          severity: 'warning',
          summary: `the next boot takes ${next.release}, and the driver's module for it is signed with a key that is not enrolled`,
          cause: 'DKMS may have made a new key, or another one was named to it, since a key was enrolled',
          remedy: `enroll the certificate that DKMS signs with now (mokutil --import), reboot, and confirm it on the guest's console; if it is enrolled already: dkms build --force -m nvidia -v ${next.onDisk} -k ${next.release}, and dkms install --force with the same options`,
          evidence: [
            evidence(`modinfo -k ${next.release} -F signer nvidia`, next.signer ?? 'nothing'),
            evidence(`modinfo -k ${next.release} -F sig_key nvidia`, next.signedWith ?? 'nothing'),
            evidence('mokutil --list-enrolled, mokutil --db', 'no certificate with that serial number'),
          ],
        };
      },
    },
    {
      id: 'module-key-not-enrolled',
      causes: [],
      judge(_config, facts) {
        const key = facts.secureBoot.keys.dkms;
        const isKnown = !key || key.enrollment === 'enrolled' || key.enrollment === 'unknown';
        if (isKnown || facts.secureBoot.unsigned !== 'refused' || versionByDkms(facts) === undefined) return undefined;
        return {
          severity: 'warning',
          summary: `the key that DKMS signs modules with is not enrolled: ${key.certificate}`,
          cause: 'this guest loads only modules whose key its firmware knows, and nobody has enrolled this one',
          remedy: `mokutil --import ${key.certificate}, reboot, and confirm it on the guest's console; or turn Secure Boot off for this guest on the host`,
          evidence: [
            evidence(`mokutil --test-key ${key.certificate}`, key.enrollment),
            ...facts.secureBoot.evidence.map(({ at, shows }) => evidence(at, shows)),
          ],
        };
      },
    },
    {
      id: 'headers-missing',
      causes: [],
      judge(_config, facts) {
        const { missing, later } = facts.prerequisites;
        const lacks = [...missing.filter(({ headers }) => headers), ...later];
        if (lacks.length === 0 || versionByDkms(facts) === undefined) return undefined;
        const names = lacks.map(({ name }) => name).join(', ');
        return {
          severity: 'warning',
          summary: `headers that DKMS builds the driver with are not installed: ${names}`,
          cause: lacks.every(({ follows }) => follows)
            ? 'headers were installed for one kernel only, so that the next kernel update comes without them, and without a driver'
            : 'a kernel was installed without its headers, or they were removed',
          remedy:
            'vgpu-guest apply installs them where a repository has them; else bring that repository, or the packages',
          evidence: lacks.map(({ name }) => evidence(name, 'not installed')),
        };
      },
    },
    {
      id: 'dkms-damaged',
      causes: [],
      judge(_config, { dkmsStatus, system }) {
        const bad = (dkmsStatus.entries ?? []).filter(
          ({ status, warning, kernel }) =>
            status === 'broken' || (kernel === system.kernel && /diff|missing/i.test(warning ?? '')),
        );
        if (bad.length === 0) return undefined;
        return {
          severity: 'warning',
          summary: 'what DKMS has of the driver is not what is installed',
          cause: 'its source below /usr/src was removed, or modules were replaced behind its back',
          remedy:
            'vgpu-guest apply puts in place what is asked for; dkms remove -m nvidia -v VERSION --all takes away an old entry',
          evidence: bad.map(({ version, kernel, status, warning }) =>
            evidence(
              'dkms status',
              `nvidia/${version}${kernel ? `, ${kernel}` : ''}: ${status}${warning ? ` (${warning})` : ''}`,
            ),
          ),
        };
      },
    },
  ],
});

/** The driver that DKMS is to keep over kernel updates; undefined: none, or it is left to somebody else. */
function versionByDkms({ driver }: Pick<Seen, 'driver'>): string | undefined {
  const version = driver.loaded ?? driver.onDisk ?? driver.installed;
  return driver.dkms?.some(entry => entry.version === version) ? version : undefined;
}

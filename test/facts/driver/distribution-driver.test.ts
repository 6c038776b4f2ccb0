import { expect, test } from 'vitest';
import { configSchema } from '../../../src/config/schema.ts';
import { lookAt } from '../../../src/facts/facts.ts';
import { openEyes } from '../../../src/guest/open-guest.ts';
import { buildStandInRun } from '../../helpers/stand-in-run.ts';
import { temporaryFolder, writeFiles, writeProgram } from '../../helpers/temporary.ts';

const run = buildStandInRun({ version: '570.211.01' });

function look(release: string, programs: Record<string, string>, files: Record<string, string> = {}) {
  const root = temporaryFolder();
  writeFiles(root, { 'etc/os-release': release, [`opt/${run.name}`]: run.bytes.toString('latin1'), ...files });
  for (const [name, script] of Object.entries(programs)) writeProgram(root, name, script);
  const config = configSchema.parse({ driver: { package: `/opt/${run.name}` } });
  return lookAt(openEyes({ root, env: {} }), config).fact('distributionDriver');
}

// Names as the distributions and NVIDIA's repositories have them.
test.each([
  ['nvidia-driver-570-server', true],
  ['nvidia-driver', true],
  ['nvidia-kernel-dkms', true],
  ['nvidia-kernel-open-dkms', true],
  ['nvidia-dkms-570-open', true],
  ['nvidia-kernel-source-570', true],
  ['linux-modules-nvidia-570-generic', true],
  ['nvidia-headless-570', true],
  ['libnvidia-compute-570', true],
  ['nvidia-linux-grid-570', true],
  ['nvidia-open', true],
  ['cuda-drivers-570', true],
  ['nvidia-driver-local-repo-ubuntu2204-535.129.03', false],
  ['nvidia-container-toolkit', false],
  ['libnvidia-container1', false],
  ['nvidia-cuda-toolkit', false],
  ['nvidia-kernel-common', false],
])('of Debian and Ubuntu %s: %s', async (name, brings) => {
  const { packages } = await look('ID=ubuntu\n', { 'dpkg-query': `echo 'ii  ${name}'; echo 'rc  nvidia-driver-390'` });
  expect(packages).toEqual(brings ? [name] : []);
});

test.each([
  ['kmod-nvidia-latest-dkms', true],
  ['akmod-nvidia', true],
  ['nvidia-driver-cuda-libs', true],
  ['xorg-x11-drv-nvidia', true],
  ['nvidia-open-driver-G06-signed-kmp-default', true],
  ['nvidia-gfxG06-kmp-default', true],
  ['nvidia-compute-G06', true],
  ['x11-video-nvidiaG06', true],
  ['nvidia-linux-grid-570', true],
  ['cuda-drivers', true],
  ['nvidia-driver-local-repo-rhel9-570.211.01', false],
  ['nvidia-container-toolkit-base', false],
  ['kernel-firmware-nvidia', false],
])('of SUSE and Red Hat %s: %s', async (name, brings) => {
  const rpm = { rpm: `[ "$*" = "--query --all --queryformat %{NAME}\\\\n *nvidia* cuda-drivers*" ] && echo '${name}'` };
  const { packages, remove } = await look('ID=rocky\n', rpm);
  expect([packages, remove]).toEqual(brings ? [[name], `dnf remove ${name}`] : [[], undefined]);
});

test('is seen by the mark that it leaves for the installer', async () => {
  const marker = '/usr/lib/nvidia/alternate-install-present';
  expect(await look('ID=ubuntu\n', {}, { [marker]: '' })).toEqual({ packages: [], remove: undefined, marker });
});

import { describe, expect, test } from 'vitest';
import { CUDA_SAMPLE, SAMPLE_PASSED } from '../../src/engine/gpu/cuda-sample.ts';
import { type FolderGuest, makeFolderGuest } from '../helpers/folder-guest.ts';
import { buildStandInCuda } from '../helpers/stand-in-cuda.ts';

function withRunfile(): { guest: FolderGuest; run: (...options: readonly string[]) => ReturnType<FolderGuest['run']> } {
  const guest = makeFolderGuest({ nouveau: 'not-bound', prerequisites: 'installed', package: 'absent' });
  const { name, text } = buildStandInCuda();
  guest.write(`/opt/${name}`, text, 0o755);
  return { guest, run: (...options) => guest.run('sh', `/opt/${name}`, ...options) };
}

describe('the stand-in runfile of the toolkit', () => {
  test.each([
    [['--silent', '--toolkit', '--dkms'], 1],
    [['--toolkit'], 1],
    [['--silent', '--toolkit', '--tmpdir=/nowhere'], 15],
  ])('refuses %j', async (options, code) => {
    const { guest, run } = withRunfile();
    using _ = guest;
    expect((await run(...options)).code).toBe(code);
    expect(guest.list('/usr/local')).not.toContain('cuda-12.8');
  });

  test.each([
    [['--silent', '--toolkit'], undefined],
    [['--silent', '--toolkit', '--driver'], ''],
    [['--silent'], ''],
  ])('brings a driver as well, unless it is run for the toolkit alone: %j', async (options, driver) => {
    const { guest, run } = withRunfile();
    using _ = guest;
    expect((await run(...options)).code).toBe(0);
    expect(guest.read('/var/lib/stubs/second-driver')).toBe(driver);
  });
});

describe('the stand-in nvcc', () => {
  test('makes a program of the sample, which works only with a driver', async () => {
    const { guest, run } = withRunfile();
    using _ = guest;
    await run('--silent', '--toolkit');
    guest.write('/root/sample.cu', CUDA_SAMPLE);
    const nvcc = (...args: readonly string[]) => guest.run('../local/cuda/bin/nvcc', ...args);
    expect((await nvcc('-o', '/root/sample', '/root/sample.cu', '--dkms')).stderr).toBe(
      "nvcc fatal   : Unknown option '--dkms'\n",
    );
    expect((await nvcc('-o', '/root/sample', '/root/other.cu')).code).toBe(1);
    expect((await nvcc('-arch=native', '-o', '/root/sample', '/root/sample.cu')).code).toBe(0);
    const sample = () => guest.run('../../root/sample');
    expect(await sample()).toMatchObject({ code: 1, stderr: 'cudaMalloc: no CUDA-capable device is detected\n' });
    guest.write('/sys/module/nvidia/version', '570.211.01\n');
    expect(await sample()).toMatchObject({ code: 0, stdout: `${SAMPLE_PASSED}\n` });
    guest.write('/root/text.cu', 'int main() { return 0; }\n');
    expect((await nvcc('-o', '/root/text', '/root/text.cu')).code).toBe(2);
  });
});

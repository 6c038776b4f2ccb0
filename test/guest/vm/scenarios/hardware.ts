import assert from 'node:assert/strict';
import type { Check } from '../../checks.ts';
import { furnish, type Scenario, type Scene, VGPU, WITHOUT_NOUVEAU } from '../bed.ts';

/** What the guest's kernel shows as GPUs, in combinations. */
export const hardware: Scenario = {
  name: 'hardware',
  furnishing: 'ready',
  gpus: [VGPU, '0003:07:00.0/10de:2330/0302/plain/10de:16c1'],
  vga: true,
  append: WITHOUT_NOUVEAU,
  checks,
};

const MODULE = 'silicon';

function checks(scene: Scene): readonly Check[] {
  const { vm } = scene;
  const gpusOf = async () => {
    const status = JSON.parse(await vm.succeed(['vgpu-guest', 'status', '--json']));
    return status.gpus.map(({ address, mode }: { address: string; mode: string }) => `${address} ${mode}`);
  };
  const replug = async (gpus: string | undefined) => {
    await vm.succeed(['modprobe', '--remove', MODULE]);
    if (gpus) await vm.succeed(['modprobe', MODULE, `gpus=${gpus}`]);
  };

  return [
    [
      'a vGPU and a GPU by pass-through, beside an emulated VGA, are told apart',
      async () => {
        await furnish(scene);
        assert.deepEqual(await gpusOf(), ['0002:06:00.0 vgpu', '0003:07:00.0 pass-through']);
        const devices = await vm.succeed(['lspci', '-D', '-nn']);
        assert.match(devices, /VGA compatible controller \[0300\].*\[1234:1111\]/);
        assert.match(devices, /^0002:06:00\.0 3D controller \[0302\]: NVIDIA Corporation .*\[10de:2236\]/m);
      },
    ],
    [
      'a GPU that is a VGA controller in a domain of Hyper-V’s kind is seen as well',
      async () => {
        await replug('c5f5:00:00.0/10de:1eb8/0300/plain');
        assert.deepEqual(await gpusOf(), ['c5f5:00:00.0 pass-through']);
      },
    ],
    [
      'a guest without a GPU is told so',
      async () => {
        await replug(undefined);
        assert.deepEqual(await gpusOf(), []);
        const { stderr } = await vm.fail(['vgpu-guest', 'apply'], 4);
        assert.match(stderr, /no NVIDIA GPU/);
      },
    ],
    [
      'a kernel that takes signed modules only is known before anything is installed',
      async () => {
        await replug(VGPU);
        await vm.write('/sys/module/module/parameters/sig_enforce', 'Y\n', 0o644);
        const { stderr } = await vm.fail(['vgpu-guest', 'apply', '--only', 'install-driver'], 4);
        assert.match(stderr, /signed modules only \(\/sys\/module\/module\/parameters\/sig_enforce: Y;/);
        await vm.fail(['test', '-e', '/var/log/nvidia-installer.log'], 1);
      },
    ],
  ];
}

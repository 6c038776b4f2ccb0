import { basename } from 'node:path/posix';
import type { Change } from '../../change.ts';
import type { ModprobeFile } from '../../facts/driver/modprobe.ts';
import { allowUnsupportedModules, refusesUnsupportedModules } from '../../formats/driver/modprobe-conf.ts';

/**
 * SUSE Linux Enterprise's modprobe refuses modules that SUSE does not support, and NVIDIA's are such: the installation would fail at its
 * last step, and the driver would be missing at every boot. A copy of the file in /etc takes the place of the one that is shipped.
 */
export function allowNvidiaModules(modprobe: readonly ModprobeFile[]): Change | undefined {
  const file = modprobe.findLast(({ text }) => /^\s*allow_unsupported_modules\s/m.test(text));
  if (!file || !refusesUnsupportedModules(file.text)) return undefined;
  return {
    kind: 'write',
    path: `/etc/modprobe.d/${basename(file.path)}`,
    text: allowUnsupportedModules(file.text),
    because: `${file.path} keeps modprobe from loading NVIDIA's modules, which SUSE does not support`,
  };
}

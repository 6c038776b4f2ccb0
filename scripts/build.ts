import { chmod, mkdir } from 'node:fs/promises';
import { bundle } from './bundle.ts';
import { ROOT } from './root.ts';

/** What a checkout runs. */
await mkdir(`${ROOT}dist`, { recursive: true });
const metafile = await bundle({
  outfile: 'dist/vgpu-guest.mjs',
  format: 'esm',
  // CommonJS libraries inside the bundle still ask for Node's own modules by require
  banner: { js: "import { createRequire } from 'node:module'; const require = createRequire(import.meta.url);" },
  legalComments: 'external',
});
await chmod(`${ROOT}dist/vgpu-guest.mjs`, 0o644);
const bytes = Object.values(metafile.outputs).reduce((sum, output) => Math.max(sum, output.bytes), 0);
if (!process.argv.includes('--quiet')) console.log(`dist/vgpu-guest.mjs: ${(bytes / 1024).toFixed(0)} KiB`);

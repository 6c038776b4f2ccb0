import { chmod, mkdir } from 'node:fs/promises';
import { build } from 'esbuild';

/** One file that needs nothing but Node beside it; units/ goes in as text. */
const root = new URL('..', import.meta.url).pathname;
await mkdir(`${root}dist`, { recursive: true });
const result = await build({
  absWorkingDir: root,
  entryPoints: ['src/main.ts'],
  outfile: 'dist/vgpu-guest.mjs',
  bundle: true,
  platform: 'node',
  target: 'node24',
  format: 'esm',
  loader: { '.service': 'text', '.timer': 'text' },
  // CommonJS libraries inside the bundle still ask for Node's own modules by require
  banner: { js: "import { createRequire } from 'node:module'; const require = createRequire(import.meta.url);" },
  legalComments: 'external',
  metafile: true,
  logLevel: 'warning',
});
await chmod(`${root}dist/vgpu-guest.mjs`, 0o644);
const bytes = Object.values(result.metafile.outputs).reduce((sum, output) => Math.max(sum, output.bytes), 0);
if (!process.argv.includes('--quiet')) console.log(`dist/vgpu-guest.mjs: ${(bytes / 1024).toFixed(0)} KiB`);

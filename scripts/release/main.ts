import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { basename, join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { packagesIn } from '../bundle.ts';
import { ROOT } from '../root.ts';
import { billOfMaterials, licenseTexts, partsOf } from './contents.ts';
import { buildExecutable, bundleForExecutable } from './executable.ts';
import { type Architecture, lockfile, nodeFolder } from './node-binary.ts';
import { buildDeb, buildRpm } from './packages.ts';
import { shippedBeside } from './shipped.ts';

/**
 * npm run build:release [-- --architecture x64|arm64] [--output DIR] [--quick]
 * Executables and packages, with their checksums and bill of materials. --quick packs fast instead of small.
 */
const { values } = parseArgs({
  options: { architecture: { type: 'string', multiple: true }, output: { type: 'string' }, quick: { type: 'boolean' } },
});
const MOST_BYTES = 30_000_000;
const architectures = (values.architecture ?? ['x64', 'arm64']) as readonly Architecture[];
const output = resolve(values.output ?? join(ROOT, 'dist/release'));
const work = join(output, '.work');
const level = values.quick ? 0 : 6;
const timeS = sourceTime();

rmSync(output, { recursive: true, force: true });
mkdirSync(work, { recursive: true });
const metafile = await bundleForExecutable(work);
const parts = partsOf(packagesIn(metafile));
const nodeVersion = lockfile.packages[`node_modules/node-linux-${architectures[0]}`]?.version ?? '';
const digests = Object.fromEntries(
  architectures.map(name => [`node-linux-${name}`, lockfile.packages[`node_modules/node-linux-${name}`]?.integrity]),
);
const licenses = licenseTexts(parts, nodeVersion, readFileSync(join(nodeFolder('x64'), 'LICENSE'), 'utf8'));
if (process.versions.node !== nodeVersion)
  throw new Error(`this is not the pinned Node ${nodeVersion}: npm run build:release`);
const node = { version: nodeVersion, digests, inside: process.versions };
const sbom = `${JSON.stringify(billOfMaterials(parts, node), null, 2)}\n`;
writeFileSync(join(output, 'THIRD-PARTY-LICENSES'), licenses);
writeFileSync(join(output, 'vgpu-guest.cdx.json'), sbom);

const date = new Date(timeS * 1000).toISOString().slice(0, 10);
for (const architecture of architectures) {
  const executable = await buildExecutable(work, architecture);
  const bytes = readFileSync(executable);
  writeFileSync(join(output, `vgpu-guest-linux-${architecture}`), bytes, { mode: 0o755 });
  const filesOf = (family: 'deb' | 'rpm') => [
    { path: '/usr/bin/vgpu-guest', bytes, mode: 0o755 },
    ...shippedBeside(family, licenses, sbom, date),
  ];
  const common = { folder: join(work, architecture), output, architecture, timeS, level };
  buildDeb({ ...common, files: filesOf('deb') });
  buildRpm({ ...common, files: filesOf('rpm') });
}
rmSync(work, { recursive: true, force: true });

const files = readdirSync(output).sort();
const sums = files.map(
  name =>
    `${createHash('sha256')
      .update(readFileSync(join(output, name)))
      .digest('hex')}  ${name}\n`,
);
writeFileSync(join(output, 'SHA256SUMS'), sums.join(''));
for (const name of files) {
  const { size } = statSync(join(output, name));
  console.log(`${basename(name).padEnd(36)} ${(size / 1e6).toFixed(1).padStart(6)} MB`);
  if (/\.(deb|rpm)$/.test(name) && size > MOST_BYTES && !values.quick) throw new Error(`${name} is larger than 30 MB`);
}

/** The time of the sources, and not of the build. */
function sourceTime(): number {
  const given = Number(process.env.SOURCE_DATE_EPOCH);
  if (Number.isInteger(given) && given > 0) return given;
  return Number(execFileSync('git', ['log', '-1', '--format=%ct'], { cwd: ROOT, encoding: 'utf8' }));
}

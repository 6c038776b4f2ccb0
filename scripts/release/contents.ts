import { createHash } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import manifest from '../../package.json' with { type: 'json' };
import { ROOT } from '../root.ts';
import { mitText } from './mit.ts';
import { lockfile } from './node-binary.ts';

interface Part {
  readonly name: string;
  readonly version: string;
  readonly license: string;
  readonly integrity: string | undefined;
  /** The texts of its license, as they lie in the package. */
  readonly texts: readonly string[];
}

/** Everything that is inside of the executable: the npm packages of the bundle, and Node with what is inside of that. */
export function partsOf(folders: readonly string[]): readonly Part[] {
  return folders.map(folder => {
    const path = folder.slice(folder.indexOf('node_modules/'));
    const name = path.slice(path.lastIndexOf('node_modules/') + 'node_modules/'.length);
    const locked = lockfile.packages[path];
    if (locked?.license === undefined) throw new Error(`package-lock.json does not say the license of ${path}`);
    const { version, license, integrity } = locked;
    const texts = licenseFiles(join(ROOT, path), license);
    return { name, version, license, integrity, texts };
  });
}

function licenseFiles(folder: string, license: string): readonly string[] {
  const files = readdirSync(folder).filter(file => /^(licen[sc]e|notice|copying)/i.test(file));
  if (files.length > 0) return files.sort().map(file => readFileSync(join(folder, file), 'utf8').trim());
  const { author } = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8'));
  if (license === 'MIT' && typeof author === 'string') return [mitText(author)];
  throw new Error(`${folder} has no license text`);
}

/** One text with the licenses of every part; Node's own names those of V8, OpenSSL, ICU and all else that it has inside. */
export function licenseTexts(parts: readonly Part[], nodeVersion: string, nodeLicense: string): string {
  const rule = '='.repeat(80);
  const sections = [
    { head: `Node.js ${nodeVersion} and what it contains`, texts: [nodeLicense.trim()] },
    ...parts.map(({ name, version, license, texts }) => ({ head: `${name} ${version} (${license})`, texts })),
  ];
  const intro = 'vgpu-guest contains the following software, under the licenses below.\n';
  return `${intro}${sections.map(({ head, texts }) => `\n${rule}\n${head}\n${rule}\n\n${texts.join('\n\n')}\n`).join('')}`;
}

/** CycloneDX 1.6. It has no time and no serial number of its own making, so that the same sources give the same text. */
export function billOfMaterials(
  parts: readonly Part[],
  node: { readonly version: string; readonly digests: object; readonly inside: NodeJS.ProcessVersions },
): object {
  const component = ({ name, version, license, integrity }: Part) => ({
    type: 'library',
    'bom-ref': purl(name, version),
    name,
    version,
    purl: purl(name, version),
    licenses: [/ (OR|AND|WITH) /.test(license) ? { expression: license } : { license: { id: license } }],
    ...(integrity === undefined
      ? {}
      : {
          hashes: [
            { alg: 'SHA-512', content: Buffer.from(integrity.slice('sha512-'.length), 'base64').toString('hex') },
          ],
        }),
  });
  const runtime = {
    type: 'platform',
    'bom-ref': `pkg:generic/node@${node.version}`,
    name: 'node',
    version: node.version,
    purl: `pkg:generic/node@${node.version}`,
    licenses: [{ license: { id: 'MIT' } }],
    properties: Object.entries(node.digests).map(([name, value]) => ({ name, value })),
    // whoever looks for a fault of OpenSSL looks for its name; what was left out of a build has no version
    components: Object.entries(node.inside).flatMap(([name, version]) =>
      !version || NO_PARTS.includes(name)
        ? []
        : [{ type: 'library', 'bom-ref': `pkg:generic/node@${node.version}#${name}`, name, version }],
    ),
  };
  const components = [runtime, ...parts.map(component)];
  const self = purl(manifest.name, manifest.version);
  return {
    $schema: 'http://cyclonedx.org/schema/bom-1.6.schema.json',
    bomFormat: 'CycloneDX',
    specVersion: '1.6',
    serialNumber: `urn:uuid:${uuidOf(JSON.stringify(components))}`,
    version: 1,
    metadata: {
      component: {
        type: 'application',
        'bom-ref': self,
        name: manifest.name,
        version: manifest.version,
        description: manifest.description,
        licenses: [{ license: { id: manifest.license } }],
        purl: self,
      },
    },
    components,
    dependencies: [{ ref: self, dependsOn: components.map(part => part['bom-ref']) }],
  };
}

/** Node itself, and the numbers of its interfaces. */
const NO_PARTS = ['node', 'modules', 'napi'];

function purl(name: string, version: string): string {
  return `pkg:npm/${name.replace('@', '%40')}@${version}`;
}

/** A UUID of version 8, RFC 9562: made from what it names. */
function uuidOf(text: string): string {
  const hex = createHash('sha256').update(text).digest('hex');
  const variant = ((Number.parseInt(hex.charAt(16), 16) & 3) | 8).toString(16);
  return [
    hex.slice(0, 8),
    hex.slice(8, 12),
    `8${hex.slice(13, 16)}`,
    variant + hex.slice(17, 20),
    hex.slice(20, 32),
  ].join('-');
}

import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { commandTree } from '../../src/cli/program.ts';
import { VERSION } from '../../src/cli/version.ts';
import { wordsOf } from '../../src/cli/words.ts';
import { SHELLS } from '../../src/report/completion.ts';
import { jsonSchemaOf, SCHEMA_KINDS } from '../../src/report/schemas.ts';
import { ROOT } from '../root.ts';
import { manPage } from './man-page.ts';

/** A file of a package. */
export interface Shipped {
  readonly path: string;
  readonly bytes: Buffer | string;
  readonly mode: number;
}

export type Family = 'deb' | 'rpm';

/** Shows the screen without a password as it stands there; `apply` writes it with one. */
const TEMPLATE = 'vgpu-guest-x11vnc.service';
/** Debian's preset enables whatever nobody speaks of, in a clone that boots without a machine-id. */
const PRESET = `# these are enabled by whoever wants them, and by vgpu-guest itself
disable vgpu-guest-first-boot.service
disable vgpu-guest-license.timer
disable vgpu-guest-resume.service
disable vgpu-guest-screen.service
`;
const ZSH_FOLDER = { deb: '/usr/share/zsh/vendor-completions', rpm: '/usr/share/zsh/site-functions' } as const;

/** What lies beside the executable, the same for every architecture. */
export function shippedBeside(family: Family, licenses: string, sbom: string, date: string): readonly Shipped[] {
  const words = wordsOf(commandTree());
  const completion = (shell: string) => SHELLS[shell]?.(words) ?? '';
  const man = manPage(words, VERSION, date);
  const text = (path: string, bytes: Buffer | string): Shipped => ({ path, bytes, mode: 0o644 });
  const own = (path: string) => readFileSync(join(ROOT, path));
  const all = (from: string, to: string) =>
    readdirSync(join(ROOT, from))
      .filter(name => name !== TEMPLATE)
      .sort()
      .map(name => text(`${to}/${name}`, own(`${from}/${name}`)));
  // not below /usr/share/doc: images for containers and small guests leave that away
  const share = '/usr/share/vgpu-guest';
  return [
    ...all('units', '/usr/lib/systemd/system'),
    text('/usr/lib/systemd/system-preset/90-vgpu-guest.preset', PRESET),
    ...all('examples', `${share}/examples`),
    ...SCHEMA_KINDS.map(kind =>
      text(`${share}/schemas/${kind}.json`, `${JSON.stringify(jsonSchemaOf(kind), null, 2)}\n`),
    ),
    text('/usr/share/man/man8/vgpu-guest.8.gz', gzipSync(man, { level: 9 })),
    text('/usr/share/bash-completion/completions/vgpu-guest', completion('bash')),
    text(`${ZSH_FOLDER[family]}/_vgpu-guest`, completion('zsh')),
    text('/usr/share/fish/vendor_completions.d/vgpu-guest.fish', completion('fish')),
    text(`${share}/vgpu-guest.cdx.json`, sbom),
    text('/usr/share/doc/vgpu-guest/README.md', own('README.md')),
    ...licenseFiles(family, own('LICENSE').toString(), licenses).map(([path, bytes]) => text(path, bytes)),
  ];
}

/** Where such images keep the licenses of each family. */
function licenseFiles(family: Family, own: string, inside: string): readonly (readonly [string, string])[] {
  if (family === 'rpm') {
    return [
      ['/usr/share/licenses/vgpu-guest/LICENSE', own],
      ['/usr/share/licenses/vgpu-guest/THIRD-PARTY-LICENSES', inside],
    ];
  }
  return [['/usr/share/doc/vgpu-guest/copyright', `vgpu-guest is licensed as follows.\n\n${own}\n${inside}`]];
}

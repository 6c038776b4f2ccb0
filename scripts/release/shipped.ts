import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { commandTree } from '../../src/cli/program.ts';
import { VERSION } from '../../src/cli/version.ts';
import { wordsOf } from '../../src/cli/words.ts';
import { SHELLS } from '../../src/report/completion.ts';
import { ROOT } from '../bundle.ts';
import { manPage } from './man-page.ts';

/** A file of a package. */
export interface Shipped {
  readonly path: string;
  readonly bytes: Buffer | string;
  readonly mode: number;
}

export type Family = 'deb' | 'rpm';

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
      .sort()
      .map(name => text(`${to}/${name}`, own(`${from}/${name}`)));
  const doc = '/usr/share/doc/vgpu-guest';
  return [
    ...all('units', '/usr/lib/systemd/system'),
    ...all('examples', `${doc}/examples`),
    text('/usr/share/man/man8/vgpu-guest.8.gz', gzipSync(man, { level: 9 })),
    text('/usr/share/bash-completion/completions/vgpu-guest', completion('bash')),
    text(`${ZSH_FOLDER[family]}/_vgpu-guest`, completion('zsh')),
    text('/usr/share/fish/vendor_completions.d/vgpu-guest.fish', completion('fish')),
    text(`${doc}/README.md`, own('README.md')),
    text(`${doc}/LICENSE`, own('LICENSE')),
    text(`${doc}/THIRD-PARTY-LICENSES`, licenses),
    text(`${doc}/vgpu-guest.cdx.json`, sbom),
    ...(family === 'deb' ? [text(`${doc}/copyright`, COPYRIGHT)] : []),
  ];
}

const COPYRIGHT = `Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/
Upstream-Name: vgpu-guest
Comment: What the executable contains has its licenses in /usr/share/doc/vgpu-guest/THIRD-PARTY-LICENSES.

Files: *
Copyright: the authors of vgpu-guest
License: Apache-2.0
 The text is in /usr/share/doc/vgpu-guest/LICENSE.
`;

import { type BuildOptions, build, type Metafile } from 'esbuild';
import { ROOT } from './root.ts';

/** The program as one file that needs nothing but Node beside it; units/ goes in as text. */
export async function bundle(options: BuildOptions & { readonly outfile: string }): Promise<Metafile> {
  const { metafile } = await build({
    ...options,
    absWorkingDir: ROOT,
    entryPoints: ['src/main.ts'],
    bundle: true,
    platform: 'node',
    target: 'node24',
    loader: { '.service': 'text', '.timer': 'text' },
    metafile: true,
    logLevel: 'warning',
  });
  return metafile;
}

/** The npm packages that a bundle holds something of. */
export function packagesIn(metafile: Metafile): readonly string[] {
  const used = Object.values(metafile.outputs).flatMap(({ inputs }) =>
    Object.entries(inputs).flatMap(([path, { bytesInOutput }]) => (bytesInOutput > 0 ? [path] : [])),
  );
  const folders = used.flatMap(path => /^(?:.*\/)?node_modules\/(?:@[^/]+\/)?[^/]+/.exec(path)?.[0] ?? []);
  return [...new Set(folders)].sort();
}

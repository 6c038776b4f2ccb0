import { chmodSync, lutimesSync, mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import type { Shipped } from './shipped.ts';

/** Writes the files of a package below a folder, whatever the umask, and with the release's time on everything. */
export function stage(folder: string, files: readonly Shipped[], folders: readonly string[], timeS: number): void {
  rmSync(folder, { recursive: true, force: true });
  for (const path of folders) mkdirSync(join(folder, path), { recursive: true });
  for (const { path, bytes, mode } of files) {
    mkdirSync(dirname(join(folder, path)), { recursive: true });
    writeFileSync(join(folder, path), bytes);
    chmodSync(join(folder, path), mode);
  }
  for (const entry of readdirSync(folder, { recursive: true, withFileTypes: true })) {
    const path = join(entry.parentPath, entry.name);
    if (entry.isDirectory()) chmodSync(path, 0o755);
    lutimesSync(path, timeS, timeS);
  }
  chmodSync(folder, 0o755);
  lutimesSync(folder, timeS, timeS);
}

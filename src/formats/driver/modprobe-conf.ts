/** A module name as the kernel writes it: modprobe takes `-` and `_` for the same letter. */
const canonical = (module: string) => module.replaceAll('-', '_');

/**
 * The modules that no alias loads any more (modprobe.d(5)): blacklisted, or with an install command that does nothing.
 * An explicit `modprobe nouveau` still loads a blacklisted one.
 */
export function blacklistedModules(text: string): ReadonlySet<string> {
  const found = new Set<string>();
  for (const line of text.replaceAll('\\\n', ' ').split('\n')) {
    const [directive, module, command] = line.trim().split(/\s+/);
    if (!module) continue;
    if (directive === 'blacklist') found.add(canonical(module));
    if (directive === 'install' && /^(\/usr)?\/bin\/(false|true)$/.test(command ?? '')) found.add(canonical(module));
  }
  return found;
}

/** suse-module-tools: with 0 modprobe refuses every module that SUSE does not support; the last line counts. */
const UNSUPPORTED = /^([ \t]*allow_unsupported_modules[ \t]+)(\d+)/gm;

export function refusesUnsupportedModules(text: string): boolean {
  return [...text.matchAll(UNSUPPORTED)].at(-1)?.[2] === '0';
}

/** The same file, with nothing else in it changed. */
export function allowUnsupportedModules(text: string): string {
  return text.replace(UNSUPPORTED, (_, directive: string) => `${directive}1`);
}

/**
 * The same file with these lines in its upper part: after the comment that it opens with, before its first directive.
 * Nothing else in it changes, its line endings included.
 */
export function insertAtTop(text: string, lines: readonly string[]): string {
  const newline = text.includes('\r\n') ? '\r\n' : '\n';
  const block = lines.map(line => line + newline).join('');
  // comments up to a blank line speak of the whole file; one right above a directive belongs to that directive
  const opening = /^(?:[ \t]*(?:#[^\n]*)?\r?\n)*[ \t]*\r?\n/.exec(text)?.[0] ?? '';
  const rest = text.slice(opening.length);
  return opening + block + (rest === '' ? '' : newline + rest);
}

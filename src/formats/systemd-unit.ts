/** A unit's text with this command line in it. */
export function unitText(template: string, argv: readonly string[]): string {
  return template.replace(/^ExecStart=.*$/m, () => `ExecStart=${argv.map(systemdWord).join(' ')}`);
}

/** systemd.service(5), command lines: quotes and backslashes as in C, `%` and `$` doubled. */
function systemdWord(word: string): string {
  const escaped = word
    .replace(/["\\]/g, '\\$&')
    .replaceAll('%', '%%')
    .replaceAll('$', '$$$$')
    // a line end in a path would begin a line of the unit
    .replace(/[\0-\x1f\x7f]/g, sign => `\\x${sign.charCodeAt(0).toString(16).padStart(2, '0')}`);
  return /^[\w./:@=+,%$-]+$/.test(escaped) ? escaped : `"${escaped}"`;
}

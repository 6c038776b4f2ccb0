/** The line under which new keys are put. */
export const ADDED_BY = '# Added by vgpu-guest';

/**
 * The keys that count, as NVIDIA's own reader (nvidia-settings, ctkgridlicense.c) takes them: every blank is dropped, names
 * are case-sensitive, `#` comments out a whole line only, an empty value is passed over, and the last line of a key wins.
 */
export function readGriddConf(text: string): ReadonlyMap<string, string> {
  const assigned = splitLines(text).flatMap(({ body }) => assignment(body) ?? []);
  return new Map(assigned.filter(({ value }) => value !== '').map(({ key, value }) => [key, value]));
}

/**
 * Gives each wanted key its value, on the line where the file has the key already; `undefined` puts the template's line back.
 * What is not about a wanted key stays as it is, byte by byte; doing it twice is doing it once.
 */
export function editGriddConf(text: string, wanted: ReadonlyMap<string, string | undefined>, template = ''): string {
  const lines = splitLines(text);
  const end = lines.find(line => line.end !== '')?.end ?? '\n';
  const missing: string[] = [];
  for (const [key, value] of wanted) {
    if (value === undefined) reset(lines, key, template);
    else if (!assign(lines, key, value)) missing.push(`${key}=${value}`);
  }
  return join(append(lines, missing, end));
}

interface Line {
  body: string;
  /** Its own line end; empty for a last line without one. */
  end: string;
}

/** C's isspace; JavaScript's \s would take a byte order mark for a blank as well. */
const BLANKS = /[ \t\v\f\r\n]+/g;

function splitLines(text: string): Line[] {
  return [...text.matchAll(/([^\n]*?)(\r?\n|$)/g)]
    .map(([, body = '', end = '']) => ({ body, end }))
    .filter(({ body, end }) => body !== '' || end !== '');
}

function join(lines: readonly Line[]): string {
  return lines.map(({ body, end }) => body + end).join('');
}

function assignment(body: string): { readonly key: string; readonly value: string } | undefined {
  const bare = body.replace(BLANKS, '');
  const at = bare.indexOf('=');
  if (at < 1 || bare.startsWith('#')) return undefined;
  return { key: bare.slice(0, at), value: bare.slice(at + 1) };
}

/** A key that is commented out: `#Key=…` or `# Key=…` with at most one word, which prose about a key has not. */
function isCommentedOut(body: string, key: string): boolean {
  const [, name] = /^#[ \t]*([A-Za-z][A-Za-z0-9]*)[ \t]*=[ \t]*\S*[ \t]*$/.exec(body) ?? [];
  return name === key;
}

function activeLines(lines: readonly Line[], key: string): Line[] {
  return lines.filter(line => assignment(line.body)?.key === key);
}

/** Whether the file had a line for the key: its last active one, which is the one that counts, or the commented one. */
function assign(lines: readonly Line[], key: string, value: string): boolean {
  const active = activeLines(lines, key);
  const line = active.pop() ?? lines.find(({ body }) => isCommentedOut(body, key));
  for (const duplicate of active) duplicate.body = `#${duplicate.body}`;
  if (!line) return false;
  // a line that says so already stays as it was typed
  if (assignment(line.body)?.value !== value.replace(BLANKS, '')) line.body = `${key}=${value}`;
  return true;
}

/** Back to what the template says, or out of the way. */
function reset(lines: readonly Line[], key: string, template: string): void {
  const active = activeLines(lines, key);
  const line = active.pop();
  for (const duplicate of active) duplicate.body = `#${duplicate.body}`;
  if (!line || assignment(line.body)?.value === '') return;
  const shipped = splitLines(template).find(({ body }) => assignment(body)?.key === key || isCommentedOut(body, key));
  if (shipped && line.body === shipped.body) return;
  const away = !shipped || lines.some(({ body }) => body === shipped.body);
  line.body = away ? `#${line.body}` : shipped.body;
}

/** Below the line that says who added them: the one that is there, or a new one at the end. */
function append(lines: readonly Line[], added: readonly string[], end: string): readonly Line[] {
  if (added.length === 0) return lines;
  const fresh = added.map(body => ({ body, end }));
  const header = lines.findLastIndex(({ body }) => body.trim() === ADDED_BY);
  const gap = lines.findIndex(({ body }, index) => header >= 0 && index > header && body.trim() === '');
  if (gap >= 0) return [...lines.slice(0, gap), ...fresh, ...lines.slice(gap)];
  const ended = lines.map(line => ({ ...line, end: line.end || end }));
  if (header >= 0) return [...ended, ...fresh];
  const space = ended.length === 0 || ended.at(-1)?.body.trim() === '' ? [] : [{ body: '', end }];
  return [...ended, ...space, { body: ADDED_BY, end }, ...fresh];
}

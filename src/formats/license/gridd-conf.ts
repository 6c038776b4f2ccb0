/**
 * The line that stands above each one that this program wrote. It alone tells ours from an administrator's: a key that is no longer
 * asked for goes back to what the template has where this line says that it was ours, and stays as it is elsewhere.
 */
export function markOf(key: string): string {
  return `# ${key} is managed by vgpu-guest`;
}

/**
 * The keys that count, as NVIDIA's own reader (nvidia-settings, ctkgridlicense.c) takes them: every blank is dropped, names
 * are case-sensitive, `#` comments out a whole line only, an empty value is passed over, and the last line of a key wins.
 */
export function readGriddConf(text: string): ReadonlyMap<string, string> {
  const assigned = splitLines(text).flatMap(({ body }) => assignment(body) ?? []);
  return new Map(assigned.filter(({ value }) => value !== '').map(({ key, value }) => [key, value]));
}

/** Every key that has a line, active or commented out: what a template offers. */
export function namedKeys(text: string): ReadonlySet<string> {
  return new Set(splitLines(text).flatMap(({ body }) => assignment(body)?.key ?? commentedKey(body) ?? []));
}

/** The keys whose lines this program wrote. */
export function markedKeys(text: string): readonly string[] {
  const lines = splitLines(text);
  return [...new Set(lines.flatMap((_, index) => ownerAt(lines, index) ?? []))];
}

/**
 * Gives each wanted key its value, on the line where the file has the key already; an empty value leaves the key out, `undefined`
 * leaves it to the template. A line that this program wrote for a key that is not wanted any more goes back to the template's.
 * What is not about these keys stays as it is, byte by byte; doing it twice is doing it once.
 */
export function editGriddConf(text: string, wanted: ReadonlyMap<string, string | undefined>, template = ''): string {
  const lines = splitLines(text);
  const end = lines.find(line => line.end !== '')?.end ?? '\n';
  const shipped = splitLines(template);
  for (const key of markedKeys(text)) if (wanted.get(key) === undefined) putBack(lines, key, shipped);
  for (const [key, value] of wanted) {
    if (value === undefined) leaveToTemplate(lines, key, shipped);
    else if (value === '') leaveOut(lines, key, end);
    else assign(lines, key, value, end);
  }
  return lines.map(({ body, end }) => body + end).join('');
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

function assignment(body: string): { readonly key: string; readonly value: string } | undefined {
  const bare = body.replace(BLANKS, '');
  const at = bare.indexOf('=');
  if (at < 1 || bare.startsWith('#')) return undefined;
  return { key: bare.slice(0, at), value: bare.slice(at + 1) };
}

/** A key that is commented out: `#Key=…` or `# Key=…` with at most one word, which prose about a key has not. */
function commentedKey(body: string): string | undefined {
  return /^#[ \t]*([A-Za-z][A-Za-z0-9]*)[ \t]*=[ \t]*\S*[ \t]*$/.exec(body)?.[1];
}

/** The key of a line that this program wrote. */
function ownerAt(lines: readonly Line[], index: number): string | undefined {
  const body = lines[index]?.body ?? '';
  const key = assignment(body)?.key ?? commentedKey(body);
  return key !== undefined && index > 0 && lines[index - 1]?.body === markOf(key) ? key : undefined;
}

/** Where the key has a value that counts or would count if it were the last. */
function activeAt(lines: readonly Line[], key: string): number[] {
  return lines.flatMap(({ body }, index) => (assignment(body)?.key === key ? [index] : []));
}

/** On its last active line, which is the one that counts, else on the commented one, else at the end. */
function assign(lines: Line[], key: string, value: string, end: string): void {
  dropDuplicates(lines, key);
  const [active] = activeAt(lines, key);
  const index = active ?? lines.findIndex(({ body }) => commentedKey(body) === key);
  const line = lines[index];
  if (!line) {
    const last = lines.at(-1);
    if (last) last.end ||= end;
    lines.push({ body: markOf(key), end }, { body: `${key}=${value}`, end });
    return;
  }
  // a line that says so already stays as it was typed
  if (assignment(line.body)?.value === value.replace(BLANKS, '')) return;
  line.body = `${key}=${value}`;
  mark(lines, index, key, end);
}

/** An administrator's extra lines are commented out; ours are taken away. */
function dropDuplicates(lines: Line[], key: string): void {
  for (const index of activeAt(lines, key).slice(0, -1).reverse()) {
    if (ownerAt(lines, index) === key) lines.splice(index - 1, 2);
    else commentOut(lines[index]!);
  }
}

function commentOut(line: Line): void {
  line.body = `#${line.body}`;
}

function mark(lines: Line[], index: number, key: string, end: string): void {
  if (lines[index - 1]?.body !== markOf(key)) lines.splice(index, 0, { body: markOf(key), end });
}

/** No line gives it a value; the last one that did is marked, so that it can come back. */
function leaveOut(lines: Line[], key: string, end: string): void {
  const saying = activeAt(lines, key).filter(index => assignment(lines[index]!.body)?.value !== '');
  for (const index of saying) commentOut(lines[index]!);
  const last = saying.at(-1);
  if (last !== undefined) mark(lines, last, key, end);
}

/** What an administrator has set must not count either: back to what the template says, or out of the way. */
function leaveToTemplate(lines: Line[], key: string, template: readonly Line[]): void {
  dropDuplicates(lines, key);
  const [index] = activeAt(lines, key);
  const line = index === undefined ? undefined : lines[index];
  if (!line || assignment(line.body)?.value === '') return;
  const shipped = shippedLine(template, key);
  if (shipped === line.body) return;
  if (shipped === undefined || lines.some(({ body }) => body === shipped)) commentOut(line);
  else line.body = shipped;
}

/** Our own lines of a key become the template's line; without one, or with one in the file already, they go away. */
function putBack(lines: Line[], key: string, template: readonly Line[]): void {
  const shipped = shippedLine(template, key);
  for (let index = lines.length - 1; index > 0; index--) {
    if (ownerAt(lines, index) !== key) continue;
    const line = lines[index]!;
    const others = lines.filter(other => other !== line);
    const isThere = others.some(({ body }) => body === shipped || assignment(body)?.key === key);
    if (shipped !== undefined && !isThere) {
      line.body = shipped;
      lines.splice(index - 1, 1);
    } else if (assignment(line.body)) lines.splice(index - 1, 2);
    else lines.splice(index - 1, 1);
  }
}

function shippedLine(template: readonly Line[], key: string): string | undefined {
  return template.find(({ body }) => assignment(body)?.key === key || commentedKey(body) === key)?.body;
}

/** A text of a bounded size. */
export interface Excerpt {
  readonly text: string;
  /** Something is left out. */
  readonly isCut: boolean;
}

/** A line that is longer tells nothing more, and a secret in it might be cut into pieces that nothing tells any more. */
const LINE_LIMIT = 64 * 1024;
const LINE_KEPT = 4 * 1024;
/** How much of it is of the start: what began it all is there, but the end is worth more. */
const START_SHARE = 1 / 8;

/** The start and, mostly, the end, cut at the ends of lines; what is left out says so. `isPart`: its first line may be half a line. */
export function excerpt(text: string, limit: number, { isPart = false } = {}): Excerpt {
  const begin = isPart ? text.indexOf('\n') + 1 : 0;
  const whole = isPart && begin === 0 ? '' : shortLines(text.slice(begin));
  if (whole.length <= limit) return { text: whole, isCut: isPart || whole.length < text.length };
  const startEnd = whole.lastIndexOf('\n', Math.floor(limit * START_SHARE)) + 1;
  const endStart = whole.indexOf('\n', whole.length - Math.ceil(limit * (1 - START_SHARE))) + 1 || whole.length;
  const gap = `[vgpu-guest: ${endStart - startEnd} characters are left out here]\n`;
  return { text: whole.slice(0, startEnd) + gap + whole.slice(endStart), isCut: true };
}

function shortLines(text: string): string {
  if (text.length <= LINE_LIMIT) return text;
  return text
    .split('\n')
    .map(line => (line.length > LINE_LIMIT ? `${line.slice(0, LINE_KEPT)} [vgpu-guest: the line goes on]` : line))
    .join('\n');
}

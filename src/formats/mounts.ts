/** A line of /proc/self/mounts, its blanks spelled out. */
export interface Mount {
  readonly point: string;
  readonly options: ReadonlySet<string>;
}

/** The mount that holds a path: the last one of the longest mount point above it. */
export function mountOf(path: string, mounts: string): Mount | undefined {
  const above = mounts
    .split('\n')
    .map(parseLine)
    .filter(({ point }) => point === '/' || path === point || (point !== '' && path.startsWith(`${point}/`)));
  const longest = above.reduce((length, { point }) => Math.max(length, point.length), 0);
  return above.findLast(({ point }) => point.length === longest);
}

function parseLine(line: string): Mount {
  const [, point = '', , options = ''] = line.split(' ');
  return { point: spelledOut(point), options: new Set(options.split(',')) };
}

/** The kernel writes blanks, tabs, line ends and backslashes as octal numbers (fs/proc_namespace.c). */
function spelledOut(text: string): string {
  return text.replace(/\\([0-7]{3})/g, (_, octal: string) => String.fromCharCode(Number.parseInt(octal, 8)));
}

type Count = (id: string, times?: number) => void;

/** What is public by its nature, and what support asks for when TLS fails. */
const PUBLIC = '(?:TRUSTED |X509 )?CERTIFICATE(?: REQUEST)?|X509 CRL|(?:RSA |EC )?PUBLIC KEY|DH PARAMETERS';
const BEGIN = new RegExp(`-----BEGIN (?!(?:${PUBLIC})-----)[A-Z0-9 ]{1,60}-----`);
const END = new RegExp(`-----END (?!(?:${PUBLIC})-----)[A-Z0-9 ]{1,60}-----`);
const BEGIN_PUBLIC = new RegExp(`-----BEGIN (?:${PUBLIC})-----`);
const ANY_END = '-----END ';
/** No key has more lines. */
const MOST_LINES = 200;
/** The last word of a line that is part of a key, whatever a logger has put before it. */
const KEY_WORD = /(?:^|[\s:>|"'])[A-Za-z0-9+/=]{16,}["']?\s*$/;
/** Its last line is shorter. */
const SHORT_WORD = /(?:^|[\s:>|"'])[A-Za-z0-9+/=]{1,76}["']?\s*$/;
const ENCODED_LINE = /^\s{0,8}[A-Za-z0-9+/=_-]{48,}\s{0,8}$/;
const ENCODED_LEAST = 4;
const UUENCODED = /^begin(?:-base64)? [0-7]{3,4} \S/;

/** Secrets that are longer than a line: keys in PEM, whole or cut at either end, tokens that a logger has broken up, encoded files. */
export function removeBlocks(text: string, count: Count): string {
  return removeEncoded(joinTokens(removeKeys(text.split('\n'), count), count), count).join('\n');
}

/** Where a key that begins in this line ends; undefined: none begins, or nothing of it is in further lines. */
export function lastLineOfKey(lines: readonly string[], first: number): number | undefined {
  const line = lines[first] ?? '';
  const begin = BEGIN.exec(line);
  if (!begin) return undefined;
  const { last } = endOfKey(lines, first, line, begin.index);
  return last > first ? last : undefined;
}

function removeKeys(lines: readonly string[], count: Count): string[] {
  const kept: string[] = [];
  for (let index = 0; index < lines.length; index++) {
    let line = lines[index]!;
    // several can stand in one line, where line ends are written as \n
    for (let begin = BEGIN.exec(line); begin; begin = BEGIN.exec(line)) {
      const { last, rest } = endOfKey(lines, index, line, begin.index);
      line = `${line.slice(0, begin.index)}<removed:private-key>${rest}`;
      index = last;
      count('private-key');
    }
    const end = END.exec(line);
    if (end) {
      // its beginning has been cut off
      if (SHORT_WORD.test(kept.at(-1) ?? '') && KEY_WORD.test(kept.at(-2) ?? '')) kept.pop();
      for (let back = 0; back < MOST_LINES && KEY_WORD.test(kept.at(-1) ?? ''); back++) kept.pop();
      line = `<removed:private-key>${line.slice(end.index + end[0].length)}`;
      count('private-key');
    }
    kept.push(line);
  }
  return kept;
}

/** Where its END is, with what follows there; where that has been cut off, the last line that can belong to it. */
function endOfKey(
  lines: readonly string[],
  first: number,
  line: string,
  from: number,
): { readonly last: number; readonly rest: string } {
  const most = Math.min(lines.length, first + MOST_LINES);
  for (let at = first; at < most; at++) {
    const text = at === first ? line : lines[at]!;
    const start = text.indexOf(ANY_END, at === first ? from : 0);
    if (start < 0) continue;
    const end = text.indexOf('-----', start + ANY_END.length);
    return { last: at, rest: end < 0 ? '' : text.slice(end + '-----'.length) };
  }
  let last = first;
  while (last + 1 < most && (KEY_WORD.test(lines[last + 1]!) || /^\s*$|^[A-Z][\w-]+: /.test(lines[last + 1]!))) last++;
  return { last, rest: '' };
}

/** A token goes on in the last word of the next lines, behind the same words of the logger. */
export function joinTokens(lines: readonly string[], count: Count): string[] {
  const kept: string[] = [];
  let shape: string | undefined;
  for (const line of lines) {
    const { lead, word } = lastWord(line);
    const goesOn = shape !== undefined && shapeOf(lead) === shape && /^[\w.=-]+["']?$/.test(word) && isTokenLike(word);
    if (goesOn) {
      kept.push(`${lead}<removed:jwt>`);
      count('jwt');
    } else kept.push(line);
    const token = word.indexOf('eyJ');
    if (token >= 0 && /^eyJ[\w-]{20,}(?:\.[\w-]*){0,4}\\?$/.test(word.slice(token))) shape = shapeOf(lead);
    else if (!goesOn) shape = undefined;
  }
  return kept;
}

function lastWord(line: string): { readonly lead: string; readonly word: string } {
  const bare = line.trimEnd();
  const at = Math.max(bare.lastIndexOf(' '), bare.lastIndexOf('\t')) + 1;
  return { lead: bare.slice(0, at), word: bare.slice(at) };
}

/** Times and process numbers differ from line to line. */
function shapeOf(lead: string): string {
  return lead.trim().replace(/\d+/g, '0');
}

function isTokenLike(word: string): boolean {
  return /[a-z]/.test(word) && /[A-Z]/.test(word) && (word.length >= 16 || /\d/.test(word));
}

/** What is encoded cannot be looked through, so it does not go with the rest. */
function removeEncoded(lines: readonly string[], count: Count): readonly string[] {
  const kept: string[] = [];
  let publicUntil = 0;
  for (let index = 0; index < lines.length; ) {
    const line = lines[index]!;
    if (BEGIN_PUBLIC.test(line)) publicUntil = index + MOST_LINES;
    else if (line.includes(ANY_END)) publicUntil = 0;
    const last = UUENCODED.test(line) ? endOfUuencoded(lines, index) : endOfEncoded(lines, index);
    if (index < publicUntil || (last - index < ENCODED_LEAST && !isEncodedAlone(line))) {
      kept.push(line);
      index++;
      continue;
    }
    const end = Math.max(last, index + 1);
    kept.push(`<removed:encoded-data, ${end - index} lines>`);
    count('encoded-data');
    index = end;
  }
  return kept;
}

/** One line of a key that its logger has made an entry of its own; a sum in hexadecimal has no capital letters. */
function isEncodedAlone(line: string): boolean {
  const word = line.trim();
  return /^[A-Za-z0-9+][A-Za-z0-9+/]{58,}={0,2}$/.test(word) && [/[a-z]/, /[A-Z]/, /\d/].every(kind => kind.test(word));
}

function endOfEncoded(lines: readonly string[], first: number): number {
  let at = first;
  while (at < lines.length && ENCODED_LINE.test(lines[at]!)) at++;
  // its last line is shorter
  return at > first && /^\s{0,8}[A-Za-z0-9+/=_-]{1,47}\s{0,8}$/.test(lines[at] ?? '') ? at + 1 : at;
}

function endOfUuencoded(lines: readonly string[], first: number): number {
  for (let at = first + 1; at < lines.length; at++) if (/^(?:end|====)\s*$/.test(lines[at]!)) return at + 1;
  return lines.length;
}

type Count = (id: string, times?: number) => void;

/** A shorter one may be a word of every line, and putting a mark there would tell it. */
const LEAST = 8;
/** Pieces of a long secret are found by any so many characters of it that stand together. */
const GRAM = 12;
const ID = 'known-secret';
const MARK = `<removed:${ID}>`;

/** Secrets that lie on the guest, wherever they are: as they are, encoded, broken over lines, and in pieces. */
export function removeKnown(text: string, known: readonly string[], count: Count): string {
  const secrets = [...new Set(known.flatMap(secret => secret.split('\n').map(line => line.trim())))].filter(
    secret => secret.length >= LEAST,
  );
  let clean = text;
  for (const secret of secrets.toSorted((one, other) => other.length - one.length)) {
    for (const form of formsOf(secret)) clean = cut(clean, form, count);
    if (secret.length <= 128) clean = clean.replace(brokenUp(secret), () => counted(count));
  }
  return removePieces(clean, secrets, count);
}

function formsOf(secret: string): ReadonlySet<string> {
  const encoded = encode(secret);
  const base64 = Buffer.from(secret).toString('base64').replace(/=+$/, '');
  return new Set([secret, encoded, encoded.replaceAll('%20', '+'), JSON.stringify(secret).slice(1, -1), base64]);
}

/** A lone half of a pair of surrogates has no encoding. */
function encode(secret: string): string {
  return encodeURIComponent(secret.toWellFormed());
}

function cut(text: string, form: string, count: Count): string {
  const parts = text.split(form);
  count(ID, parts.length - 1);
  return parts.join(MARK);
}

function counted(count: Count): string {
  count(ID);
  return MARK;
}

/** An end of line, with a backslash before it and blanks behind it, may stand between any two characters. */
function brokenUp(secret: string): RegExp {
  const characters = [...secret].map(one => one.replace(/[$()*+.?[\\\]^{|}/-]/g, '\\$&'));
  return new RegExp(characters.join('(?:\\\\?\\n[ \\t]{0,40})?'), 'g');
}

function removePieces(text: string, secrets: readonly string[], count: Count): string {
  const grams = new Set<string>();
  for (const secret of secrets) {
    if (secret.length < 2 * GRAM) continue;
    for (let at = 0; at + GRAM <= secret.length; at++) grams.add(secret.slice(at, at + GRAM));
  }
  if (grams.size === 0) return text;
  return text.replace(/[\w.+/=-]{12,}/g, run => {
    // a piece of at least two grams has one that begins at a step of one gram
    for (let at = 0; at + GRAM <= run.length; at += GRAM)
      if (grams.has(run.slice(at, at + GRAM))) return counted(count);
    return grams.has(run.slice(-GRAM)) ? counted(count) : run;
  });
}

import { randomBytes } from 'node:crypto';

/**
 * Signs that a terminal acts upon, or that hide or turn around what stands beside them: C0 and C1 controls, delete, marks and overrides of
 * direction (Trojan Source), what has no width, line ends of Unicode, lone halves of a pair.
 */
const HARMFUL =
  /[\0-\x08\x0b-\x1f\x7f-\x9f\u00ad\u061c\u115f\u1160\u17b4\u17b5\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\u3164\ufeff\uffa0\ufff0-\ufffb]|[\u{1d173}-\u{1d17a}\u{e0000}-\u{e0fff}]|\p{Surrogate}/gu;

/** Stands for the escape of our own colors; nobody who has not seen this process can write it. */
const OWN_ESCAPE = `\u0001${randomBytes(9).toString('base64url')}\u0001`;

/** A color of our own, as text that `harmless` lets through. */
export function ownSequence(sequence: string): string {
  return sequence.replaceAll('\u001b', OWN_ESCAPE);
}

/** Whole text for a person: what is not ours and could harm is written out (`\x1b`, `\u202e`); our colors become colors. */
export function harmless(text: string): string {
  return text.split(OWN_ESCAPE).map(escaped).join('\u001b');
}

/** The text without our colors; what is foreign in it stays, for who writes it as JSON. */
export function colorless(text: string): string {
  const [first = '', ...rest] = text.split(OWN_ESCAPE);
  return first + rest.map(piece => piece.replace(/^\[[\d;]*m/, '')).join('');
}

/** A value that is no more than one line: its own line ends and tabs are written out too, so that it cannot pass for a line of ours. */
export function visible(text: string): string {
  return text.replaceAll('\n', '\\n').replaceAll('\t', '\\t');
}

/** JSON text in which the same signs are JSON's own escapes: whoever parses it gets them back. */
export function harmlessJson(json: string): string {
  return json.replace(HARMFUL, sign => (sign === '\n' || sign === '\t' ? sign : codeUnits(sign)));
}

/** The same for YAML, of which only text in double quotes has escapes; `quoted` is it with all its values in them. */
export function harmlessYaml(yaml: string, quoted: () => string): string {
  return harmlessJson(yaml) === yaml ? yaml : harmlessJson(quoted());
}

function escaped(text: string): string {
  return text.replace(HARMFUL, sign => {
    const code = sign.codePointAt(0)!;
    return code < 0x100 ? `\\x${code.toString(16).padStart(2, '0')}` : codeUnits(sign);
  });
}

function codeUnits(sign: string): string {
  return [...Array(sign.length).keys()].map(at => `\\u${sign.charCodeAt(at).toString(16).padStart(4, '0')}`).join('');
}

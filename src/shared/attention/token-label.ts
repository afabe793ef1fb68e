/** Token texts made readable: whatever a token holds, its label shows something, on one line, in one direction. */

/** Signs that every font has; the pictures of control characters are not among them. */
const named: Readonly<Record<string, string>> = { '\n': '↵', '\t': '⇥', ' ': '·', '\ufffd': '\ufffd' };

const combining = /^\p{M}/u;
/** Control, format, private, unassigned and lone-surrogate characters, spaces and separators without a sign of their own. */
const invisible =
  /[\p{Cc}\p{Cf}\p{Co}\p{Cn}\p{Cs}\p{Zs}\p{Zl}\p{Zp}]|\p{Variation_Selector}|[\u115f\u1160\u3164\uffa0]/u;

/** A space reads as `·`, a line feed as `↵`, what has no sign as its code point: `U+200B`. An empty text reads as `∅`. */
export function labelText(text: string): string {
  let label = '';
  for (const character of text) label += labelCharacter(character);
  if (label === '') return '∅';
  return combining.test(label) ? `◌${label}` : label;
}

function labelCharacter(character: string): string {
  const code = character.codePointAt(0) ?? 0;
  const name = named[character];
  if (name !== undefined) return name;
  if (invisible.test(character)) return codePoint(code);
  return character;
}

function codePoint(code: number): string {
  return `U+${code.toString(16).toUpperCase().padStart(4, '0')}`;
}

export interface LabelToken {
  readonly text: string;
  readonly start: number;
  readonly end: number;
  readonly isSpecial: boolean;
}

/**
 * One label a token. Tokens that share one character, as the bytes of an emoji do, read `😀 1/4`, `😀 2/4`, ...;
 * `text` is what the offsets of the tokens count in.
 */
export function labelTokens(tokens: readonly LabelToken[], text: string): string[] {
  const labels: string[] = [];
  for (let first = 0; first < tokens.length; ) {
    let end = first + 1;
    while (end < tokens.length && isSameRange(tokens[first]!, tokens[end]!)) end++;
    const parts = end - first;
    for (let index = first; index < end; index++) {
      const token = tokens[index]!;
      if (parts === 1)
        labels.push(labelText(isBroken(token) ? text.slice(token.start, token.end) : spelled(token, text)));
      else labels.push(`${labelText(text.slice(token.start, token.end))} ${index - first + 1}/${parts}`);
    }
    first = end;
  }
  return labels;
}

/** WordPiece says a space before every word, also where the text has none: before a comma. */
function spelled({ text: own, start, end }: LabelToken, text: string): string {
  const isSpaceless = end > start && start > 0 && /^\S\S/u.test(text.slice(start - 1, start + 1));
  return isSpaceless && /^ \S/u.test(own) ? own.slice(1) : own;
}

function isSameRange(a: LabelToken, b: LabelToken): boolean {
  return a.start === b.start && a.end === b.end && a.end > a.start;
}

/** A token that ends or starts inside a character reads as U+FFFD there; the character itself says more. */
function isBroken(token: LabelToken): boolean {
  return token.text.includes('\ufffd') && token.end > token.start;
}

/** A label cut to `length` characters, for an axis; never inside a surrogate pair. */
export function shortLabel(label: string, length: number): string {
  const characters = [...label];
  return characters.length <= length ? label : `${characters.slice(0, length - 1).join('')}…`;
}

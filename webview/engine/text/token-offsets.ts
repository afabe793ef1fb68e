/**
 * Where tokens stand in the text they were made from, in UTF-16 code units.
 *
 * The rule: tokens are laid one after the other over the UTF-8 bytes of the text. A token that begins or ends inside a
 * character has the whole character. Where a tokenizer changes the text first (a normaliser, a dummy space before the
 * first word), a token's leading or trailing space may be missing in the text, white space that no token has is passed
 * over, and the text as changed is laid over the text as written character by character, combining marks with their
 * base. A token that still fits nowhere (an unknown word) has what is there up to the next space or
 * the next token that fits.
 */

export interface Span {
  readonly start: number;
  readonly end: number;
}

const encoder = new TextEncoder();
const space = 0x20;

/**
 * @param pieces what each token spells; undefined for one that spells nothing, an unknown character
 * @param normalise what the tokenizer does to a text before it splits it; absent when it changes nothing
 */
export function locateTokens(
  text: string,
  pieces: readonly (Uint8Array | undefined)[],
  normalise?: (text: string) => string,
): Span[] {
  const direct = layOver(text, pieces);
  if (direct.isComplete || !normalise) return direct.spans;
  const changed = normalise(text);
  const origin = originOf(text, changed, normalise);
  const { spans } = layOver(changed, pieces);
  return spans.map(({ start, end }) => {
    const from = origin(start).start;
    return { start: from, end: end > start ? Math.max(from, origin(end - 1).end) : from };
  });
}

interface Layout {
  readonly spans: Span[];
  /** Every token is where it is spelled, and no more than white space is left. */
  readonly isComplete: boolean;
}

function layOver(text: string, pieces: readonly (Uint8Array | undefined)[]): Layout {
  const bytes = encoder.encode(text);
  const units = unitsOfBytes(text, bytes.length);
  const places: Span[] = [];
  let position = 0;
  let unplaced = 0;
  for (const [index, piece] of pieces.entries()) {
    const spaced = skipSpace(bytes, position);
    const place = piece && (placeAt(bytes, position, piece) ?? placeAt(bytes, spaced, piece));
    const unknown = { start: spaced, end: place ? spaced : skipUnknown(bytes, spaced, pieces[index + 1]) };
    places.push(place ?? unknown);
    if (!place) unplaced++;
    position = (place ?? unknown).end;
  }
  const spans = places.map(({ start, end }) => ({
    start: units.start[start] ?? text.length,
    end: units.end[end] ?? text.length,
  }));
  const isComplete = unplaced === 0 && skipSpace(bytes, position) === bytes.length;
  return { spans, isComplete };
}

/** The piece at this place as it is, or without its leading space, or without its trailing one. */
function placeAt(bytes: Uint8Array, at: number, piece: Uint8Array): Span | undefined {
  if (startsWith(bytes, at, piece)) return { start: at, end: at + piece.length };
  if (piece[0] === space && startsWith(bytes, at, piece.subarray(1))) return { start: at, end: at + piece.length - 1 };
  if (piece.at(-1) === space && startsWith(bytes, at, piece.subarray(0, -1)))
    return { start: at, end: at + piece.length - 1 };
  return undefined;
}

/** Where the next piece is found, in the same word; the end of the word when nowhere. */
function skipUnknown(bytes: Uint8Array, at: number, next: Uint8Array | undefined): number {
  const wanted = next?.[0] === space ? next.subarray(1) : next;
  let place = at;
  while (place < bytes.length && skipSpace(bytes, place) === place) {
    place++;
    if (wanted && wanted.length > 0 && startsWith(bytes, place, wanted)) break;
  }
  return place;
}

function startsWith(bytes: Uint8Array, at: number, piece: Uint8Array): boolean {
  if (at + piece.length > bytes.length) return false;
  for (let i = 0; i < piece.length; i++) if (bytes[at + i] !== piece[i]) return false;
  return true;
}

function skipSpace(bytes: Uint8Array, from: number): number {
  let at = from;
  while (bytes[at] === space || ((bytes[at] ?? 0) >= 9 && (bytes[at] ?? 0) <= 13)) at++;
  return at;
}

/** For every byte border: the start of the character it is in, and the end of the character before or around it. */
function unitsOfBytes(text: string, byteLength: number): { start: Uint32Array; end: Uint32Array } {
  const start = new Uint32Array(byteLength + 1).fill(text.length);
  const end = new Uint32Array(byteLength + 1).fill(text.length);
  let byte = 0;
  let unit = 0;
  for (const character of text) {
    const code = character.codePointAt(0) ?? 0;
    const length = code < 0x80 ? 1 : code < 0x800 ? 2 : code < 0x10000 ? 3 : 4; // a lone surrogate becomes U+FFFD: 3
    end[byte] = unit;
    start.fill(unit, byte, byte + length);
    unit += character.length;
    end.fill(unit, byte + 1, byte + length + 1);
    byte += length;
  }
  return { start, end };
}

/** Maps a code unit of the changed text to the characters of the original that it came from. */
function originOf(text: string, changed: string, normalise: (part: string) => string): (unit: number) => Span {
  const parts: { from: number; to: number; origin: Span }[] = [];
  let position = 0;
  const prefix = normalise('a').endsWith('a') ? normalise('a').slice(0, -1) : '';
  let at = changed.startsWith(prefix) ? prefix.length : 0;
  for (const [part] of text.matchAll(/[\u1100-\u11ff]+|\P{M}\p{M}*|\p{M}+/gsu)) {
    const own = normalise(part);
    const result = prefix && own.startsWith(prefix) ? own.slice(prefix.length) : own;
    parts.push({ from: at, to: at + result.length, origin: { start: position, end: position + part.length } });
    position += part.length;
    at += result.length;
  }
  if (at !== changed.length) {
    // Not character by character: shared out in proportion.
    const scale = text.length / Math.max(1, changed.length);
    return (unit) => ({ start: Math.floor(unit * scale), end: Math.min(text.length, Math.ceil((unit + 1) * scale)) });
  }
  return (unit) => {
    let low = 0;
    let high = parts.length - 1;
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((parts[middle]?.to ?? 0) <= unit) low = middle + 1;
      else high = middle;
    }
    return parts[low]?.origin ?? { start: text.length, end: text.length };
  };
}

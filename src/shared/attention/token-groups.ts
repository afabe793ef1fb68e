/** Tokens as words, lines, syntax nodes or symbols: a map between groups instead of tokens. */
import { AppError } from '../app-error.ts';
import { type AttentionMap, checkMap } from './attention-map.ts';

export interface TextRange {
  /** Offsets in the text, end exclusive. */
  readonly start: number;
  readonly end: number;
}

export interface TokenGroups {
  /** [token] index of its group: the ranges in their order, then a group for each token that is in none. */
  readonly groupOf: readonly number[];
  readonly groups: number;
  /** Tokens that reach over a border: each went to the range that holds most of it, on a tie to the first. */
  readonly crossing: readonly number[];
}

/**
 * The group of each token by the text it covers. A token goes to the range that holds most of its characters; a tie goes to the
 * earlier range. A token outside all ranges, or without text as special tokens are, is a group of its own: nothing is dropped.
 * Of ranges that share a start and an end the first wins; nested ones (a syntax node and its parent) are refused: choose one level.
 *
 * Throws `bad-input` for ranges that overlap or are empty.
 */
export function groupTokens(tokens: readonly TextRange[], ranges: readonly TextRange[]): TokenGroups {
  checkRanges(ranges);
  const crossing: number[] = [];
  let groups = ranges.length;
  const groupOf = tokens.map((token, index) => {
    let best = -1;
    let most = 0;
    ranges.forEach((range, group) => {
      const shared = Math.min(token.end, range.end) - Math.max(token.start, range.start);
      if (shared > most) [best, most] = [group, shared];
    });
    if (most > 0 && most < token.end - token.start) crossing.push(index);
    return best >= 0 ? best : groups++;
  });
  return { groupOf, groups, crossing };
}

function checkRanges(ranges: readonly TextRange[]): void {
  const sorted = ranges.toSorted((a, b) => a.start - b.start);
  for (const [index, { start, end }] of sorted.entries()) {
    const next = sorted[index + 1];
    if (!(end > start)) refuse(`The range ${start} to ${end} is empty.`);
    if (next && next.start < end) refuse(`The ranges ${start} to ${end} and ${next.start} to ${next.end} overlap.`);
  }
}

/** Words by Unicode's rules (UAX 29, https://unicode.org/reports/tr29): a word with the space before it, as tokens have it. */
export function wordRanges(text: string): TextRange[] {
  const ranges: TextRange[] = [];
  let start = 0;
  for (const { index, segment } of new Intl.Segmenter('und', { granularity: 'word' }).segment(text)) {
    const end = index + segment.length;
    // A space belongs to the word behind it; line breaks stand alone, so that no word reaches over one.
    if (/^[^\S\r\n]+$/u.test(segment)) continue;
    ranges.push({ start, end });
    start = end;
  }
  if (start < text.length) ranges.push({ start, end: text.length });
  return ranges;
}

/** Lines, each with the break that ends it. */
export function lineRanges(text: string): TextRange[] {
  const ranges: TextRange[] = [];
  for (const { index, 0: line } of text.matchAll(/[^\r\n]*(?:\r\n|\r|\n)|[^\r\n]+$/gu))
    ranges.push({ start: index, end: index + line.length });
  return ranges;
}

export interface GroupedMap {
  /** [query group, key group] mass. A row of a group with queries sums to 1 less its mean mass on the learned sink. */
  readonly weights: Float64Array<ArrayBuffer>;
  readonly queryGroups: number;
  readonly keyGroups: number;
  /** [query group] mean mass on the learned sink: in no key group. */
  readonly sinks: Float64Array<ArrayBuffer>;
}

/**
 * A map between groups: weights are summed over the keys of a group and averaged over the queries of a group, so that rows stay
 * distributions. K. Clark et al. 2019, https://arxiv.org/abs/1906.04341. A group without queries has a row of 0. In a causal
 * map a group's row holds mass on itself and on what its later tokens see. Causal, bidirectional and cross.
 *
 * Throws `bad-input` where the groups are not those of the map's tokens.
 */
export function groupMap(map: AttentionMap, queries: TokenGroups, keys: TokenGroups = queries): GroupedMap {
  checkMap(map);
  if (queries.groupOf.length !== map.queries || keys.groupOf.length !== map.keys)
    refuse(`Groups of ${queries.groupOf.length} and ${keys.groupOf.length} tokens do not fit this map.`);
  const weights = new Float64Array(queries.groups * keys.groups);
  const sinks = new Float64Array(queries.groups);
  const sizes = new Float64Array(queries.groups);
  for (const group of queries.groupOf) sizes[group]!++;
  for (let query = 0; query < map.queries; query++) {
    const row = queries.groupOf[query]!;
    sinks[row]! += (map.sinks?.[query] ?? 0) / sizes[row]!;
    for (let key = 0; key < map.keys; key++)
      weights[row * keys.groups + keys.groupOf[key]!]! += map.weights[query * map.keys + key]! / sizes[row]!;
  }
  return { weights, queryGroups: queries.groups, keyGroups: keys.groups, sinks };
}

function refuse(cause: string): never {
  throw new AppError('bad-input', `${cause} Choose groups of the same text that do not overlap.`);
}

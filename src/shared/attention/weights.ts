/** Rows and columns of one head's map, and the stretches of text that they shade. */
import { levelOf } from './levels.ts';

/** `attends`: from a query to the keys that it attends to. `attended`: from a key to the queries that attend to it. */
export type Direction = 'attends' | 'attended';

export interface HeadMap {
  /** [query, key]; in a causal map keys after the query are masked, which is not a weight of 0. */
  readonly weights: Float32Array<ArrayBuffer>;
  /** Queries; the keys are as many where `keys` does not say otherwise. */
  readonly tokens: number;
  readonly keys?: number | undefined;
  /** Every query sees every key. */
  readonly isBidirectional?: boolean | undefined;
}

export function keysOf({ tokens, keys }: HeadMap): number {
  return keys ?? tokens;
}

/** Whether there is a weight at all: in a causal map a token attends to itself and to what stands before it. */
export function isVisible({ isBidirectional }: HeadMap, query: number, key: number): boolean {
  return isBidirectional === true || key <= query;
}

/** The weight, or undefined where there is none. */
export function weightAt(map: HeadMap, query: number, key: number): number | undefined {
  return isVisible(map, query, key) ? map.weights[query * keysOf(map) + key] : undefined;
}

/** One weight a token, undefined where there is none: the row of a query over the keys, or the column of a key. */
export function weightsOf(map: HeadMap, token: number, direction: Direction): (number | undefined)[] {
  const length = direction === 'attends' ? keysOf(map) : map.tokens;
  return Array.from({ length }, (_, other) =>
    direction === 'attends' ? weightAt(map, token, other) : weightAt(map, other, token),
  );
}

export interface Segment {
  readonly start: number;
  readonly end: number;
  /** Indices of the tokens that cover it: more than one where several tokens share one character. */
  readonly tokens: readonly number[];
}

/**
 * The text cut where any token starts or ends, without what no token covers. Segments never overlap, so that shades of
 * two tokens never add up to a third.
 */
export function segmentsOf(tokens: readonly { readonly start: number; readonly end: number }[]): Segment[] {
  const borders = [...new Set(tokens.flatMap(({ start, end }) => (end > start ? [start, end] : [])))];
  borders.sort((a, b) => a - b);
  const indexOf = new Map(borders.map((border, index) => [border, index]));
  const covering: number[][] = borders.map(() => []);
  tokens.forEach(({ start, end }, token) => {
    if (end <= start) return;
    for (let index = indexOf.get(start)!; index < indexOf.get(end)!; index++) covering[index]!.push(token);
  });
  return covering.flatMap((list, index) =>
    list.length === 0 ? [] : [{ start: borders[index]!, end: borders[index + 1]!, tokens: list }],
  );
}

export interface Shade extends Segment {
  /** 1..levelCount. */
  readonly level: number;
  /** The largest weight of its tokens. */
  readonly weight: number;
}

/** The segments that get a shade, each by the largest weight of its tokens. */
export function shadesOf(segments: readonly Segment[], weights: readonly (number | undefined)[]): Shade[] {
  return segments.flatMap((segment) => {
    const weight = Math.max(0, ...segment.tokens.map((token) => weights[token] ?? 0));
    const level = levelOf(weight);
    return level === 0 ? [] : [{ ...segment, level, weight }];
  });
}

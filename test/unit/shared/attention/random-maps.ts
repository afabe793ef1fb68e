/** Random attention maps of every kind for the tests, made apart from what they test: float64, plain loops. */
import type { AttentionKind, AttentionMap } from '../../../../src/shared/attention/attention-map.ts';
import { createRandom } from '../../support/random.ts';

export function normalFrom(random: () => number): number {
  return Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random());
}

export interface MapOptions {
  readonly kind: AttentionKind;
  readonly queries: number;
  readonly keys: number;
  readonly hasSink?: boolean;
  readonly window?: number;
  readonly seed: number;
}

/** Whether a key is masked is written out here once more, from the definition. */
export function isSeen(
  { kind, queries, keys, window = Infinity }: Omit<AttentionMap, 'weights'>,
  query: number,
  key: number,
) {
  if (kind !== 'causal') return true;
  const behind = keys - queries + query - key;
  return behind >= 0 && behind < window;
}

export function randomMap(options: MapOptions): AttentionMap {
  const { kind, queries, keys, hasSink = false, window, seed } = options;
  const random = createRandom(seed);
  const shape = { kind, queries, keys, ...(window !== undefined && { window }) };
  const weights = new Float64Array(queries * keys);
  const sinks = new Float64Array(queries);
  const sharpness = 0.2 + 4 * random();
  for (let query = 0; query < queries; query++) {
    let sum = 0;
    for (let key = 0; key < keys; key++) {
      const weight = isSeen(shape, query, key) ? Math.exp(sharpness * normalFrom(random)) : 0;
      weights[query * keys + key] = weight;
      sum += weight;
    }
    sinks[query] = hasSink ? Math.exp(sharpness * normalFrom(random)) : 0;
    sum += sinks[query]!;
    sinks[query]! /= sum;
    for (let key = 0; key < keys; key++) weights[query * keys + key]! /= sum;
  }
  return { ...shape, weights, ...(hasSink && { sinks }) };
}

/** Twenty maps: causal, with a cache, with a window, with a learned sink, bidirectional, cross. */
export function twentyMaps(kinds: readonly AttentionKind[] = ['causal', 'bidirectional', 'cross']): AttentionMap[] {
  return Array.from({ length: 20 }, (_, seed) => {
    const kind = kinds[seed % kinds.length]!;
    const keys = 2 + ((seed * 7) % 19);
    const queries =
      kind === 'bidirectional' ? keys : kind === 'cross' ? 1 + (seed % 6) : Math.max(1, keys - (seed % 3) * 2);
    const isWindowed = kind === 'causal' && seed % 4 === 1;
    const hasSink = seed % 2 === 1;
    return randomMap({ kind, queries, keys, hasSink, seed, ...(isWindowed && { window: 3 }) });
  });
}

/** A map of rows written by hand. */
export function mapOf(rows: readonly (readonly number[])[], rest: Partial<AttentionMap> = {}): AttentionMap {
  return {
    kind: 'causal',
    queries: rows.length,
    keys: rows[0]!.length,
    weights: Float64Array.from(rows.flat()),
    ...rest,
  };
}

/** Uniform over what is visible. */
export function uniformMap(kind: AttentionKind, queries: number, keys = queries): AttentionMap {
  const weights = Float64Array.from({ length: queries * keys }, (_, index) => {
    const [query, key] = [Math.floor(index / keys), index % keys];
    const seen = kind === 'causal' ? keys - queries + query + 1 : keys;
    return key < seen ? 1 / seen : 0;
  });
  return { kind, queries, keys, weights };
}

/** All weight of each query on one key. */
export function pointMap(kind: AttentionKind, size: number, keyOf: (query: number) => number): AttentionMap {
  const weights = new Float64Array(size * size);
  for (let query = 0; query < size; query++) weights[query * size + keyOf(query)] = 1;
  return { kind, queries: size, keys: size, weights };
}

/** A causal head with random projections of token and position embeddings; `width` 0: each score for itself. */
export function softmaxHead(
  texts: readonly (readonly number[])[],
  { sharpness, width, seed }: { readonly sharpness: number; readonly width: number; readonly seed: number },
): AttentionMap[] {
  const random = createRandom(seed);
  const model = 16;
  const matrix = (rows: number, columns: number) =>
    Array.from({ length: rows }, () => Array.from({ length: columns }, () => normalFrom(random) / Math.sqrt(rows)));
  const [tokens, positions] = [matrix(128, model), matrix(128, model)];
  const [queryWeights, keyWeights] = [matrix(model, width), matrix(model, width)];
  const project = (x: readonly number[], weights: readonly (readonly number[])[], column: number) =>
    x.reduce((sum, value, row) => sum + value * weights[row]![column]!, 0);
  return texts.map((text) => {
    const size = text.length;
    const inputs = text.map((token, position) => tokens[token]!.map((value, i) => value + positions[position]![i]!));
    const side = (weights: readonly (readonly number[])[]) =>
      inputs.map((x) => Array.from({ length: width }, (_, column) => project(x, weights, column)));
    const [q, k] = [side(queryWeights), side(keyWeights)];
    const scores = Array.from({ length: size }, (_, i) =>
      Array.from({ length: i + 1 }, (_, j) =>
        width === 0 ? normalFrom(random) : q[i]!.reduce((sum, value, d) => sum + value * k[j]![d]!, 0),
      ),
    );
    const all = scores.flat();
    const deviation = Math.sqrt(all.reduce((sum, score) => sum + score * score, 0) / all.length);
    const weights = new Float32Array(size * size);
    scores.forEach((row, i) => {
      const shares = row.map((score) => Math.exp((sharpness * (score - Math.max(...row))) / deviation));
      const sum = shares.reduce((total, share) => total + share);
      shares.forEach((share, j) => {
        weights[i * size + j] = share / sum;
      });
    });
    return { kind: 'causal', queries: size, keys: size, weights };
  });
}

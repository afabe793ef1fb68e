/** Heads with random weights: what attention does on a text when nobody trained it, the null of every label. */
import { createRandom, type Random } from '../sampling/random.ts';
import type { AttentionMap } from './attention-map.ts';

export interface RandomHead {
  /** Deviation of the scores before softmax: 0 is uniform, 16 nearly picks one key. */
  readonly sharpness: number;
  /** How much of a token's vector is its position, 0..1: at 0, equal tokens are looked at alike. */
  readonly positionShare: number;
  /** Size of query and key vectors; 0: every score is drawn for itself. */
  readonly headDim: number;
  readonly seed: number;
}

/** Widths, sharpnesses and shares in turn, so that every kind of random head is met. */
export function randomHeads(count: number, seed: number): RandomHead[] {
  const random = createRandom(seed);
  const pick = (values: readonly number[]) => values[Math.floor(random.next() * values.length)]!;
  return Array.from({ length: count }, () => ({
    sharpness: 2 ** (random.next() * 6.5 - 2.5),
    positionShare: pick([0, 0.25, 0.5, 1]),
    headDim: pick([0, 1, 2, 4, 8, 16, 64]),
    seed: Math.floor(random.next() * 2 ** 32),
  }));
}

/**
 * Maps of one random head over several texts: softmax of q·k with random projections of random token and position vectors, which
 * are the same in all texts. Self attention, causal or bidirectional; sums of 1 and no learned sink.
 */
export function randomMaps(
  head: RandomHead,
  texts: readonly (readonly number[])[],
  kind: 'causal' | 'bidirectional',
): AttentionMap[] {
  const random = createRandom(head.seed);
  const length = Math.max(...texts.map((tokens) => tokens.length));
  const { headDim } = head;
  const vectors = () => new VectorTable(random, headDim);
  // A projection of a sum of random vectors is a sum of random vectors: no matrix is needed.
  const [tokenQuery, tokenKey, positionQuery, positionKey] = [vectors(), vectors(), vectors(), vectors()];
  for (let position = 0; position < length; position++) {
    positionQuery.at(position);
    positionKey.at(position);
  }
  const [ofToken, ofPosition] = [Math.sqrt(1 - head.positionShare), Math.sqrt(head.positionShare)];
  const scale = headDim === 0 ? head.sharpness : head.sharpness / Math.sqrt(headDim);
  return texts.map((tokens) => {
    const keys = tokens.length;
    const sides = (ofTokens: VectorTable, ofPositions: VectorTable) =>
      tokens.map((token, position) => {
        const [a, b] = [ofTokens.at(token), ofPositions.at(position)];
        return a.map((value, index) => ofToken * value + ofPosition * b[index]!);
      });
    const [queryVectors, keyVectors] = [sides(tokenQuery, positionQuery), sides(tokenKey, positionKey)];
    const weights = new Float32Array(keys * keys);
    for (let query = 0; query < keys; query++) {
      const end = kind === 'causal' ? query + 1 : keys;
      const scores = Float64Array.from({ length: end }, (_, key) =>
        headDim === 0 ? scale * normal(random) : scale * dot(queryVectors[query]!, keyVectors[key]!),
      );
      weights.set(softmax(scores), query * keys);
    }
    return { kind, queries: keys, keys, weights };
  });
}

class VectorTable {
  readonly #random: Random;
  readonly #size: number;
  readonly #vectors = new Map<number, Float64Array>();

  constructor(random: Random, size: number) {
    this.#random = random;
    this.#size = size;
  }

  at(id: number): Float64Array {
    const known = this.#vectors.get(id);
    if (known) return known;
    const vector = Float64Array.from({ length: this.#size }, () => normal(this.#random));
    this.#vectors.set(id, vector);
    return vector;
  }
}

/** Box and Muller 1958. */
function normal(random: Random): number {
  return Math.sqrt(-2 * Math.log(1 - random.next())) * Math.cos(2 * Math.PI * random.next());
}

function dot(a: Float64Array, b: Float64Array): number {
  let sum = 0;
  for (let index = 0; index < a.length; index++) sum += a[index]! * b[index]!;
  return sum;
}

function softmax(scores: Float64Array): Float64Array {
  const largest = scores.reduce((most, score) => Math.max(most, score), -Infinity);
  const shares = scores.map((score) => Math.exp(score - largest));
  const sum = shares.reduce((total, share) => total + share, 0);
  return shares.map((share) => share / sum);
}

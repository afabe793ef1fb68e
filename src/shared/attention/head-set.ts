/** Several heads as one map: mean, largest or a chosen set, with how far the heads differ. */
import { AppError } from '../app-error.ts';
import { type AttentionMap, checkMap } from './attention-map.ts';

export interface HeadSet {
  /** Mean over the heads: a map again, the mean mass on learned sinks beside it. */
  readonly mean: AttentionMap;
  /** [query, key] largest weight of any head. Its rows do not sum to 1: it is no attention map. */
  readonly max: Float32Array<ArrayBuffer>;
  /** [query, key] standard deviation over the heads, of the heads as a population (divided by their count). 0..0.5. */
  readonly deviation: Float32Array<ArrayBuffer>;
  /** [query, key] largest less smallest weight of a head. 0..1. */
  readonly range: Float32Array<ArrayBuffer>;
  readonly heads: number;
}

/**
 * Mean, max and spread over query heads: with grouped keys (GQA) several of them share a key head, and each counts once.
 * `chosen`: indices into `maps`, all by default. Learned sinks: their masses are averaged like a column; a head without one
 * counts as 0. Causal, bidirectional and cross, but one kind and one size at a time. O(heads · queries · keys).
 *
 * Throws `bad-input` for no head, a head that does not exist or is named twice, or maps that differ in shape.
 */
export function combineHeads(maps: readonly AttentionMap[], chosen: readonly number[] = [...maps.keys()]): HeadSet {
  const heads = chosen.map((index) => maps[index] ?? refuse(`There is no head ${index} among ${maps.length}.`));
  const [model] = heads;
  if (!model) return refuse('No head is chosen.');
  if (new Set(chosen).size < chosen.length) refuse('A head is chosen twice.');
  for (const head of heads) {
    checkMap(head);
    const fits = head.kind === model.kind && head.queries === model.queries && head.keys === model.keys;
    if (!fits) refuse('The heads differ in kind or size.');
  }
  const spread = spreadOf(heads, model.weights.length);
  const hasSink = heads.some(({ sinks }) => sinks);
  const sinks = Float32Array.from(
    { length: model.queries },
    (_, query) => heads.reduce((sum, head) => sum + (head.sinks?.[query] ?? 0), 0) / heads.length,
  );
  const isWindowed = heads.every(({ window }) => window !== undefined);
  const mean: AttentionMap = {
    kind: model.kind,
    queries: model.queries,
    keys: model.keys,
    weights: spread.mean,
    ...(hasSink && { sinks }),
    ...(isWindowed && { window: Math.max(...heads.map(({ window }) => window!)) }),
  };
  return { mean, max: spread.max, deviation: spread.deviation, range: spread.range, heads: heads.length };
}

function spreadOf(heads: readonly AttentionMap[], size: number) {
  const mean = new Float32Array(size);
  const max = new Float32Array(size);
  const deviation = new Float32Array(size);
  const range = new Float32Array(size);
  for (let index = 0; index < size; index++) {
    let sum = 0;
    let largest = 0;
    let smallest = Infinity;
    for (const { weights } of heads) {
      const weight = weights[index]!;
      sum += weight;
      largest = Math.max(largest, weight);
      smallest = Math.min(smallest, weight);
    }
    const centre = sum / heads.length;
    // Two passes: the squares of small weights would drown in a single one.
    let squares = 0;
    for (const { weights } of heads) squares += (weights[index]! - centre) ** 2;
    mean[index] = centre;
    max[index] = largest;
    deviation[index] = Math.sqrt(squares / heads.length);
    range[index] = largest - smallest;
  }
  return { mean, max, deviation, range };
}

function refuse(cause: string): never {
  throw new AppError('bad-input', `${cause} Choose heads of one layer and one text.`);
}

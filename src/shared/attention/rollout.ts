/** Attention rollout for one target token: a vector pushed down through the layers, never a product of matrices. */
import { AppError } from '../app-error.ts';
import { type AttentionMap, checkMap, requireKind, visibleKeys } from './attention-map.ts';

export interface Rollout {
  /** [token] share of the target that flows back to each token of the input; with `learnedSink` it sums to 1. */
  readonly shares: Float64Array<ArrayBuffer>;
  /** Share that ended in learned sinks, at any layer. */
  readonly learnedSink: number;
  /** [token] the same through layers of uniform attention over the visible keys: what position alone gives. */
  readonly nullShares: Float64Array<ArrayBuffer>;
}

/**
 * Abnar and Zuidema 2020, https://arxiv.org/abs/2005.00928: the row of the target in Π (r I + (1 - r) A_l), r = 0.5 for
 * the residual stream, computed as v ← r v + (1 - r) v A from the last layer to the first. O(layers · n²) time, O(n) memory.
 *
 * `layers`: one map a layer from the first to the last, each usually the mean of the layer's heads, square, all causal or all
 * bidirectional. The null takes the same masks and windows with uniform weights and no learned sink. Mass that a row puts on a
 * learned sink leaves the tokens and is reported. It is a sum over paths of weights, and says nothing of values or MLPs.
 *
 * Throws `bad-input` for cross attention, maps that are not square or not of one size, a target outside, r outside 0..1.
 */
export function rolloutOf(layers: readonly AttentionMap[], target: number, residual = 0.5): Rollout {
  const [model] = layers;
  const tokens = model?.keys ?? 0;
  if (!(residual >= 0 && residual <= 1)) refuse(`A residual of ${residual} is not between 0 and 1.`);
  if (!(Number.isInteger(target) && target >= 0 && target < tokens))
    refuse(`There is no token ${target} of ${tokens}.`);
  for (const map of layers) {
    requireKind('Rollout', map.kind, ['causal', 'bidirectional']);
    checkMap(map);
    if (map.kind !== model!.kind || map.queries !== tokens || map.keys !== tokens)
      refuse('The layers are not of one text and kind.');
  }
  const shares = new Float64Array(tokens);
  const nullShares = new Float64Array(tokens);
  shares[target] = 1;
  nullShares[target] = 1;
  let learnedSink = 0;
  for (const map of layers.toReversed()) {
    learnedSink += pushDown(map, shares, residual);
    pushUniform(map, nullShares, residual);
  }
  return { shares, learnedSink, nullShares };
}

/** v ← r v + (1 - r) v A in place. Returns what went to the learned sink. */
function pushDown(map: AttentionMap, vector: Float64Array, residual: number): number {
  const next = vector.map((share) => residual * share);
  let sunk = 0;
  for (let query = 0; query < map.queries; query++) {
    const flow = (1 - residual) * vector[query]!;
    if (flow === 0) continue;
    const { first, end } = visibleKeys(map, query);
    sunk += flow * (map.sinks?.[query] ?? 0);
    for (let key = first; key < end; key++) next[key]! += flow * map.weights[query * map.keys + key]!;
  }
  vector.set(next);
  return sunk;
}

function pushUniform(map: AttentionMap, vector: Float64Array, residual: number): void {
  const next = vector.map((share) => residual * share);
  for (let query = 0; query < map.queries; query++) {
    const { first, end } = visibleKeys(map, query);
    const flow = ((1 - residual) * vector[query]!) / (end - first);
    if (flow === 0) continue;
    for (let key = first; key < end; key++) next[key]! += flow;
  }
  vector.set(next);
}

function refuse(cause: string): never {
  throw new AppError('bad-input', `${cause} Give one map a layer of the same text, and a token of it.`);
}

/**
 * Attention weights from queries and keys, a row at a time: softmax(scale * q . k), softcapped where the model does it,
 * over the keys that the query may see. A head with a sink adds exp(sink) to the sum, as if to one key more without a
 * value (https://arxiv.org/abs/2309.17453, as gpt-oss has it): its rows sum to less than 1.
 */
import type { AttentionSpec, LayerTap } from '../decoder.ts';
import { products, softmax } from './weights-row.ts';

export interface HeadShape {
  readonly heads: number;
  readonly kvHeads: number;
  readonly headDim: number;
}

/** Calls `onRow(query, weights, firstKey)` for each query; `weights` is reused: copy what is kept. Keys outside are 0. */
export function forEachRow(
  { query, key, rule = {} }: LayerTap,
  { heads, kvHeads, headDim }: HeadShape,
  { scale, softcap, window, sinks }: AttentionSpec,
  head: number,
  onRow: (query: number, weights: Float32Array, firstKey: number) => void,
): void {
  const queries = query.length / (heads * headDim);
  const keys = key.length / (kvHeads * headDim);
  const past = keys - queries;
  const kvHead = Math.floor(head / (heads / kvHeads));
  const headKeys = key.subarray(kvHead * keys * headDim, (kvHead + 1) * keys * headDim);
  const row = new Float32Array(keys);
  for (let i = 0; i < queries; i++) {
    const position = past + i;
    const first = Math.max(rule.firstKeys?.[i] ?? 0, window === undefined ? 0 : position - window + 1);
    const from = (head * queries + i) * headDim;
    const vector = query.subarray(from, from + headDim);
    const weights = row.subarray(first, position + 1);
    products(vector, headKeys, first, weights);
    for (let j = 0; j < weights.length; j++) {
      const score = weights[j]! * scale;
      weights[j] = softcap === undefined ? score : softcap * Math.tanh(score / softcap);
    }
    if (rule.bias) for (let j = 0; j < weights.length; j++) weights[j]! += rule.bias[head * keys + first + j]!;
    softmax(weights, (sinks ?? rule.sinks)?.[head]);
    onRow(i, weights, first);
  }
}

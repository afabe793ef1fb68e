/** Tells the masks and biases that a graph computes for one run from its score program, in terms of a causal decoder. */
import { AppError } from '../../../src/shared/app-error.ts';
import type { AttentionSpec, ScoreRule } from '../decoder.ts';
import type { AttentionCapture } from '../inspect/read-attention.ts';

/** Masks are -infinity or the least number of a type; -10,000 in older exports. */
const hiddenBelow = -9_999;
/** Of scores in float16. */
const tolerance = 1e-2;

/**
 * Of the queries of one sequence, the last of its keys.
 * @throws AppError `model-unsupported` when scores are not `scale * product`, softcapped, plus a bias by key for the keys
 *   from one on to the query itself.
 */
export function scoreRule(capture: AttentionCapture, spec: AttentionSpec): ScoreRule {
  const { queries, keys, heads } = capture;
  const scores = (head: number, query: number, product = 0) => {
    const row = capture.scores(0, head, query, product);
    return row ?? refuse(capture, 'its scores do not follow from queries and keys');
  };
  const firstKeys = new Int32Array(queries);
  for (let query = 0; query < queries; query++)
    firstKeys[query] = firstVisible(scores(0, query), keys - queries + query, capture);
  checkProducts(scores, capture, spec);
  const bias = keyBias(scores, capture, firstKeys);
  const sinks = Float32Array.from({ length: heads }, (_, head) => capture.sink(0, head) ?? Number.NEGATIVE_INFINITY);
  return {
    ...(firstKeys.some((first) => first > 0) && { firstKeys }),
    ...(bias && { bias }),
    ...(capture.site.hasSink && { sinks }),
  };
}

type Scores = (head: number, query: number, product?: number) => Float32Array;

function firstVisible(row: Float32Array, position: number, capture: AttentionCapture): number {
  let first = 0;
  while (first < position && row[first]! < hiddenBelow) first++;
  for (let key = first; key < row.length; key++)
    if (row[key]! < hiddenBelow !== key > position) refuse(capture, 'its mask hides other keys than a decoder does');
  return first;
}

function checkProducts(scores: Scores, capture: AttentionCapture, { scale, softcap }: AttentionSpec): void {
  const last = capture.queries - 1;
  const at = capture.keys - 1;
  for (const product of [-3, 5]) {
    const scaled = product * scale;
    const expected = softcap === undefined ? scaled : softcap * Math.tanh(scaled / softcap);
    const actual = scores(0, last, product)[at]! - scores(0, last)[at]!;
    if (!(Math.abs(actual - expected) <= tolerance * (1 + Math.abs(expected))))
      refuse(capture, 'its scores are more than scaled and softcapped products');
  }
}

/** Undefined where there is none. A row may have any number added: softmax does not see it. */
function keyBias(scores: Scores, capture: AttentionCapture, firstKeys: Int32Array): Float32Array | undefined {
  const { queries, keys, heads } = capture;
  const bias = new Float32Array(heads * keys);
  let isThere = false;
  for (let head = 0; head < heads; head++) {
    const row = scores(head, queries - 1);
    for (let key = firstKeys[queries - 1]!; key < keys; key++) {
      bias[head * keys + key] = row[key]! - row[keys - 1]!;
      isThere ||= bias[head * keys + key] !== 0;
    }
  }
  for (const query of new Set([0, queries >> 1])) {
    const [position, first] = [keys - queries + query, firstKeys[query]!];
    const row = scores(heads - 1, query);
    for (let key = first; key <= position; key++) {
      const own = row[key]! - row[position]!;
      const shared = bias[(heads - 1) * keys + key]! - bias[(heads - 1) * keys + position]!;
      if (!(Math.abs(own - shared) <= tolerance * (1 + Math.abs(own))) || (isThere && first < firstKeys[queries - 1]!))
        refuse(capture, 'its scores have a bias by more than the key');
    }
  }
  return isThere ? bias : undefined;
}

function refuse({ site }: AttentionCapture, why: string): never {
  throw new AppError(
    'model-unsupported',
    `Attention of this model cannot be read: ${site.node} (${site.operator}): ${why}.`,
  );
}

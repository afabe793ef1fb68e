/**
 * Finds how far down the scores a filter reaches, without sorting a vocabulary: a few that are certainly enough are
 * sorted; where there is no such few, a histogram over the upper, then over the lower 16 bits of the scores finds it,
 * O(n) whatever the values. Equal scores go by id, the lowest first.
 */
import type { Candidates } from './candidates.ts';

const buckets = 0x10000;
/** From here on a histogram is quicker than sorting. */
const manyCandidates = 4096;
const float = new Float32Array(1);
const bits = new Uint32Array(float.buffer);

/** Order-preserving: a larger score has a larger key. */
function keyOf(score: number): number {
  float[0] = score === 0 ? 0 : score; // -0 is 0
  const raw = bits[0] as number;
  return (raw & 0x80000000 ? ~raw : raw | 0x80000000) >>> 0;
}

/**
 * Keeps the best candidates, from the top, until their weights reach `target`; the one that reaches it is kept too.
 * @param weigh of a score: 1 to count tokens, a probability to gather mass. Equal scores must weigh the same.
 */
export function keepUntil(
  candidates: Candidates,
  target: number,
  weigh: (score: number) => number,
  many: number = manyCandidates,
): void {
  const reach = findReach(candidates, target, weigh, many);
  if (reach) keepSorted(candidates, target, weigh, reach);
  else keepByHistogram(candidates, target, weigh);
}

/** A score above which there are few candidates, of enough weight together; undefined when there is none. */
function findReach(
  candidates: Candidates,
  target: number,
  weigh: (score: number) => number,
  many: number,
): { readonly above: number; readonly few: number } | undefined {
  const { scores, count } = candidates;
  if (count < many) return { above: -Infinity, few: count };
  const max = scores[candidates.best()] as number;
  for (let depth = 1; depth <= 64; depth *= 2) {
    let few = 0;
    let weight = 0;
    for (let i = 0; i < count; i++) {
      const score = scores[i] as number;
      if (score <= max - depth) continue;
      if (++few >= many) return undefined;
      weight += weigh(score);
    }
    if (weight >= target) return { above: max - depth, few };
  }
  return undefined;
}

function keepSorted(
  candidates: Candidates,
  target: number,
  weigh: (score: number) => number,
  { above, few }: { readonly above: number; readonly few: number },
): void {
  const { scores, count } = candidates;
  const order = new Int32Array(few);
  let found = 0;
  for (let i = 0; i < count && found < few; i++)
    if (above === -Infinity || (scores[i] as number) > above) order[found++] = i;
  order.sort((a, b) => (scores[b] as number) - (scores[a] as number) || a - b);
  const isKept = new Uint8Array(count);
  let gathered = 0;
  for (const index of order) {
    if (gathered >= target) break;
    gathered += weigh(scores[index] as number);
    isKept[index] = 1;
  }
  candidates.keep((_score, _id, index) => isKept[index] === 1);
}

function keepByHistogram(candidates: Candidates, target: number, weigh: (score: number) => number): void {
  const upper = gather(candidates, weigh, (key) => key >>> 16);
  const top = descend(upper, 0, target);
  if (top.bucket < 0) return; // all of them together do not reach it
  const lower = gather(candidates, weigh, (key) => (key >>> 16 === top.bucket ? key & 0xffff : -1));
  const bottom = descend(lower, top.above, target);
  const limit = bottom.bucket < 0 ? 0 : (top.bucket * buckets + bottom.bucket) >>> 0;
  let gathered = bottom.above;
  candidates.keep((score) => {
    const key = keyOf(score);
    if (key !== limit) return key > limit;
    if (gathered >= target) return false;
    gathered += weigh(score);
    return true;
  });
}

function gather(
  candidates: Candidates,
  weigh: (score: number) => number,
  bucketOf: (key: number) => number,
): Float64Array {
  const weights = new Float64Array(buckets);
  for (let i = 0; i < candidates.count; i++) {
    const score = candidates.scores[i] as number;
    const bucket = bucketOf(keyOf(score));
    if (bucket >= 0) weights[bucket] = (weights[bucket] as number) + weigh(score);
  }
  return weights;
}

/** The bucket, from the top, in which the sum reaches the target, and what is above it. */
function descend(weights: Float64Array, start: number, target: number): { bucket: number; above: number } {
  let above = start;
  for (let bucket = buckets - 1; bucket >= 0; bucket--) {
    const sum = above + (weights[bucket] as number);
    if (sum >= target) return { bucket, above };
    above = sum;
  }
  return { bucket: -1, above };
}

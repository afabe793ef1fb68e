/**
 * Finds how far down the scores a filter reaches, without sorting a vocabulary: a histogram of fine steps below the
 * largest score finds the step in which it ends, and only that is sorted. Where the step itself holds too many (a
 * plateau, say), a histogram over the upper, then over the lower 16 bits of the scores finds the end, O(n) whatever the
 * values. Equal scores go by id, the lowest first.
 */
import type { Candidates } from './candidates.ts';
import { expBelow, forBlocks, skipBelow } from './passes.ts';

/** 64 for each of 31 nats, and one for all that is further down. */
const steps = 31 * 64 + 1;
const halves = 0x10000;
/** exp of as much less than the best is nothing beside 1, however many there are. */
const nothing = 45;
/** From here on the bits of the scores are quicker than sorting. */
const manyCandidates = 4096;
/** From here on sorting the best so far, again and again, is slower than a histogram. */
const mostGathered = 512;
const float = new Float32Array(1);
const bits = new Uint32Array(float.buffer);

/** Order-preserving: a larger score has a larger key. */
function keyOf(score: number): number {
  float[0] = score === 0 ? 0 : score; // -0 is 0
  const raw = bits[0] as number;
  return (raw & 0x80000000 ? ~raw : raw | 0x80000000) >>> 0;
}

function scoreOf(key: number): number {
  bits[0] = key & 0x80000000 ? key & 0x7fffffff : ~key;
  return float[0] as number;
}

function stepOf(below: number): number {
  return below < 31 ? (below * 64) | 0 : 31 * 64;
}

/** Keeps the k best candidates. */
export function keepTop(candidates: Candidates, k: number): void {
  if (k >= candidates.count) return;
  if (k > mostGathered) return keepUntil(candidates, k, () => 1);
  candidates.keepBest(k);
}

/** Keeps the best candidates, from the top, until they have `share` of all probability together: a nucleus. */
export function keepShare(candidates: Candidates, share: number): void {
  const max = candidates.bestScore();
  candidates.narrow(max - nothing);
  const weights = new Float64Array(steps);
  const { scores, count } = candidates;
  forBlocks(count, (from, to) => addShares(weights, scores, { from, to, max }));
  let total = 0;
  for (const weight of weights) total += weight;
  keepBySteps(candidates, weights, {
    ...{ target: share * total, weigh: (score) => expBelow(score - max), many: manyCandidates },
  });
}

interface Block {
  readonly from: number;
  readonly to: number;
  readonly max: number;
}

function addShares(weights: Float64Array, scores: Float32Array, { from, to, max }: Block): void {
  const least = max - nothing;
  let far = 0; // of many: one place in memory would be waited for each time
  for (let i = skipBelow(scores, from, to, least); i < to; i = skipBelow(scores, i + 1, to, least)) {
    const below = max - (scores[i] as number);
    const share = expBelow(-below);
    const step = stepOf(below);
    if (step === steps - 1) far += share;
    else weights[step] = (weights[step] as number) + share;
  }
  weights[steps - 1] = (weights[steps - 1] as number) + far;
}

interface Cut {
  readonly target: number;
  readonly weigh: (score: number) => number;
  readonly many: number;
}

/**
 * Keeps the best candidates, from the top, until their weights reach `target`; the one that reaches it is kept too.
 * @param weigh of a score: 1 to count tokens, a probability to gather mass. Equal scores must weigh the same.
 */
export function keepUntil(
  candidates: Candidates,
  target: number,
  weigh: Cut['weigh'],
  many: number = manyCandidates,
): void {
  const { scores, count } = candidates;
  const max = candidates.bestScore();
  const weights = new Float64Array(steps);
  forBlocks(count, (from, to) => {
    for (let i = from; i < to; i++) {
      const score = scores[i] as number;
      const step = stepOf(max - score);
      weights[step] = (weights[step] as number) + weigh(score);
    }
  });
  keepBySteps(candidates, weights, { target, weigh, many });
}

function keepBySteps(candidates: Candidates, weights: Float64Array, { target, weigh, many }: Cut): void {
  let last = 0;
  let above = 0;
  while (last < steps && above + (weights[last] as number) < target) above += weights[last++] as number;
  if (last === steps) return; // all of them together do not reach it
  const max = candidates.bestScore();
  if (last < steps - 1) candidates.keepAtLeast(max - (last + 1.5) / 64); // half a step more than needed, for rounding
  const inStep: number[] = [];
  forBlocks(candidates.count, (from, to) => gatherStep(inStep, candidates.scores, { from, to, max, step: last }));
  if (inStep.length >= many) return keepByBits(candidates, target, weigh);
  inStep.sort((a, b) => b - a);
  let end = 0;
  for (; end < inStep.length - 1; end++) {
    above += weigh(inStep[end] as number);
    if (above >= target) break;
  }
  const least = inStep[end] as number;
  candidates.keepAtLeast(least, end - inStep.indexOf(least) + 1);
}

function gatherStep(
  inStep: number[],
  scores: Float32Array,
  { from, to, max, step }: Block & { readonly step: number },
): void {
  for (let i = from; i < to; i++) {
    const score = scores[i] as number;
    if (stepOf(max - score) === step) inStep.push(score);
  }
}

function keepByBits(candidates: Candidates, target: number, weigh: (score: number) => number): void {
  const upper = gather(candidates, weigh, (key) => key >>> 16);
  const top = descend(upper, 0, target);
  if (top.bucket < 0) return; // all of them together do not reach it
  const lower = gather(candidates, weigh, (key) => (key >>> 16 === top.bucket ? key & 0xffff : -1));
  const bottom = descend(lower, top.above, target);
  const least = scoreOf(bottom.bucket < 0 ? 0 : (top.bucket * halves + bottom.bucket) >>> 0);
  candidates.keepAtLeast(least, Math.ceil((target - bottom.above) / weigh(least)));
}

function gather(
  candidates: Candidates,
  weigh: (score: number) => number,
  bucketOf: (key: number) => number,
): Float64Array {
  const weights = new Float64Array(halves);
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
  for (let bucket = halves - 1; bucket >= 0; bucket--) {
    const sum = above + (weights[bucket] as number);
    if (sum >= target) return { bucket, above };
    above = sum;
  }
  return { bucket: -1, above };
}

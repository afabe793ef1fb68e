/** From scores of one query with a page to weights: a step of an online softmax (https://arxiv.org/abs/1805.02867). */
import { expOfSmall, tanh } from './exp';
import { greatestLane, sumOfLanes } from './vector';

/** softcap * tanh(score / softcap) */
export function capScores(scores: usize, softcap: f32): void {
  const cap = f32x4.splat(softcap);
  for (const end = scores + 128; scores < end; scores += 16)
    v128.store(scores, f32x4.mul(cap, tanh(f32x4.div(v128.load(scores), cap))));
}

/** Keys from `first` to `last` stay, of those that begin with number `key`. */
export function maskScores(scores: usize, key: i32, first: i32, last: i32): void {
  const hidden = f32x4.splat(-Infinity);
  let keys = i32x4.add(i32x4.splat(key), i32x4(0, 1, 2, 3));
  for (const end = scores + 128; scores < end; scores += 16) {
    const isSeen = v128.and(i32x4.ge_s(keys, i32x4.splat(first)), i32x4.le_s(keys, i32x4.splat(last)));
    v128.store(scores, v128.bitselect(v128.load(scores), hidden, isSeen));
    keys = i32x4.add(keys, i32x4.splat(4));
  }
}

/**
 * exp(score - greatest so far) in place of 32 scores. `greatest` and `sum` of the query are brought up to date; returns
 * what earlier weights are to be multiplied by.
 */
export function weigh(scores: usize, greatest: usize, sum: usize): f32 {
  let x0 = v128.load(scores);
  let x1 = v128.load(scores, 16);
  let x2 = v128.load(scores, 32);
  let x3 = v128.load(scores, 48);
  let x4 = v128.load(scores, 64);
  let x5 = v128.load(scores, 80);
  let x6 = v128.load(scores, 96);
  let x7 = v128.load(scores, 112);
  const low = f32x4.pmax(f32x4.pmax(x0, x1), f32x4.pmax(x2, x3));
  const high = f32x4.pmax(f32x4.pmax(x4, x5), f32x4.pmax(x6, x7));
  const before = load<f32>(greatest);
  const now = max(before, greatestLane(f32x4.pmax(low, high)));
  const base = f32x4.splat(now == -Infinity ? 0 : now); // all masked so far: weights of 0, not NaN
  x0 = expOfSmall(f32x4.sub(x0, base));
  x1 = expOfSmall(f32x4.sub(x1, base));
  x2 = expOfSmall(f32x4.sub(x2, base));
  x3 = expOfSmall(f32x4.sub(x3, base));
  x4 = expOfSmall(f32x4.sub(x4, base));
  x5 = expOfSmall(f32x4.sub(x5, base));
  x6 = expOfSmall(f32x4.sub(x6, base));
  x7 = expOfSmall(f32x4.sub(x7, base));
  v128.store(scores, x0);
  v128.store(scores, x1, 16);
  v128.store(scores, x2, 32);
  v128.store(scores, x3, 48);
  v128.store(scores, x4, 64);
  v128.store(scores, x5, 80);
  v128.store(scores, x6, 96);
  v128.store(scores, x7, 112);
  const left = f32x4.add(f32x4.add(x0, x1), f32x4.add(x2, x3));
  const right = f32x4.add(f32x4.add(x4, x5), f32x4.add(x6, x7));
  let factor: f32 = 1;
  if (now != before) {
    factor = f32x4.extract_lane(expOfSmall(f32x4.sub(f32x4.splat(before), base)), 0);
    store<f32>(greatest, now);
  }
  store<f32>(sum, load<f32>(sum) * factor + sumOfLanes(f32x4.add(left, right)));
  return factor;
}

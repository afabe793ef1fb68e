/** What the sampler asks of each row of logits, so that JavaScript need not go through a whole vocabulary for it. */
import { expOfSmall } from './exp';
import { greatestLane } from './vector';

/** float32 sums of so many numbers go into float64 ones: a relative error below 1e-6 of any number of logits. */
const blockSize = 64;
/** exp of it is 0, and 0 times it as well, other than 0 times -Infinity. */
const least: f32 = -100;

/**
 * Of `count` logits, as float64: the largest, the sum of exp(logit - largest), the sum of that times
 * (logit - largest), and the least of logit - largest. Where a logit is NaN or +Infinity, or none is finite, the third
 * is NaN.
 */
export function describeRow(logits: usize, count: i32, to: usize): void {
  const largest = largestOf(logits, count);
  const largests = f32x4.splat(largest);
  const leasts = f32x4.splat(least);
  let sums = f64x2.splat(0);
  let lowest = f32x4.splat(0);
  for (let from = 0; from < count; from += blockSize) {
    const until = min(from + blockSize, count);
    let sum = f32x4.splat(0);
    let weighted = f32x4.splat(0);
    for (let i = from; i < until; i += 4) {
      let below = f32x4.sub(v128.load(logits + (<usize>i << 2)), largests);
      if (until - i < 4) below = withoutTail(below, until - i);
      lowest = f32x4.pmin(lowest, below);
      below = f32x4.pmax(below, leasts);
      const share = expOfSmall(below);
      sum = f32x4.add(sum, share);
      weighted = f32x4.add(weighted, f32x4.mul(share, below));
    }
    sums = f64x2.add(sums, sumOfBoth(sum, weighted));
  }
  store<f64>(to, largest);
  v128.store(to + 8, sums);
  store<f64>(to + 24, -greatestLane(f32x4.neg(lowest)));
}

/** NaN is passed over. */
function largestOf(logits: usize, count: i32): f32 {
  const whole = count & ~7;
  let a = f32x4.splat(-Infinity);
  let b = a;
  for (let i = 0; i < whole; i += 8) {
    const at = logits + (<usize>i << 2);
    a = f32x4.pmax(a, v128.load(at));
    b = f32x4.pmax(b, v128.load(at, 16));
  }
  let largest = greatestLane(f32x4.pmax(a, b));
  for (let i = whole; i < count; i++) {
    const logit = load<f32>(logits + (<usize>i << 2));
    if (logit > largest) largest = logit;
  }
  return largest;
}

/** What follows the last logit in memory may be anything: its lanes count for nothing. */
@inline
function withoutTail(below: v128, lanes: i32): v128 {
  const isLogit = i32x4.gt_s(i32x4.splat(lanes), i32x4(0, 1, 2, 3));
  return v128.bitselect(below, f32x4.splat(least), isLogit);
}

/** The sums of the lanes of each, as two float64. */
@inline
function sumOfBoth(a: v128, b: v128): v128 {
  const left = f64x2.add(f64x2.promote_low_f32x4(a), f64x2.promote_low_f32x4(upperHalf(a)));
  const right = f64x2.add(f64x2.promote_low_f32x4(b), f64x2.promote_low_f32x4(upperHalf(b)));
  const first = i8x16.shuffle(left, right, 0, 1, 2, 3, 4, 5, 6, 7, 16, 17, 18, 19, 20, 21, 22, 23);
  const second = i8x16.shuffle(left, right, 8, 9, 10, 11, 12, 13, 14, 15, 24, 25, 26, 27, 28, 29, 30, 31);
  return f64x2.add(first, second);
}

@inline
function upperHalf(x: v128): v128 {
  return i8x16.shuffle(x, x, 8, 9, 10, 11, 12, 13, 14, 15, 8, 9, 10, 11, 12, 13, 14, 15);
}

/** The sums of four tokens across blocks: eight rows of each. */
import { multiplyAdd } from './linear-matrix';
import { recordOfActivations } from './quantise';
import { ownOffset } from './threads';

export const sums = memory.data(4 * 32, 64) + ownOffset;

/** Adds the product of a block to 4 rows of each token; `x` and `sum` are of the first, the dots int32. */
@inline
export function addFour(
  x: usize,
  sum: usize,
  scale: v128,
  minimum: v128,
  first: v128,
  second: v128,
  third: v128,
  fourth: v128,
): void {
  add(x, sum, scale, minimum, first);
  add(x + recordOfActivations, sum + 32, scale, minimum, second);
  add(x + 2 * recordOfActivations, sum + 64, scale, minimum, third);
  add(x + 3 * recordOfActivations, sum + 96, scale, minimum, fourth);
}

@inline
function add(x: usize, sum: usize, scale: v128, minimum: v128, dots: v128): void {
  const shifted = multiplyAdd(minimum, v128.load32_splat(x, 24), v128.load(sum));
  v128.store(sum, multiplyAdd(f32x4.mul(scale, v128.load32_splat(x, 16)), f32x4.convert_i32x4_s(dots), shifted));
}

/** The same to 8 rows of one token: what the record of activations holds is read once for both quads. */
@inline
export function addBoth(x: usize, sum: usize, sa: v128, ma: v128, a: v128, sb: v128, mb: v128, b: v128): void {
  const xm = v128.load32_splat(x, 24);
  const xs = v128.load32_splat(x, 16);
  v128.store(sum, multiplyAdd(f32x4.mul(sa, xs), f32x4.convert_i32x4_s(a), multiplyAdd(ma, xm, v128.load(sum))));
  v128.store(
    sum,
    multiplyAdd(f32x4.mul(sb, xs), f32x4.convert_i32x4_s(b), multiplyAdd(mb, xm, v128.load(sum, 16))),
    16,
  );
}

@inline
export function beginFour(bias: usize): void {
  const first = bias ? v128.load(bias) : f32x4.splat(0);
  const second = bias ? v128.load(bias, 16) : f32x4.splat(0);
  for (let sum = sums; sum < sums + 128; sum += 32) {
    v128.store(sum, first);
    v128.store(sum, second, 16);
  }
}

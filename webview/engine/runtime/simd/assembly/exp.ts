/**
 * exp and tanh of four float32 at once, after the expf and tanhf of Cephes (https://www.netlib.org/cephes/, single
 * precision): relative error at most 2e-7.
 */
import { multiplyAdd } from './vector';

// V8 builds a constant vector anew at each use, in three instructions; a load that fills all lanes is one.
const constants = memory.data<f32>(
  [
    1.44269504088896341, // log2(e)
    12582912.0, // 1.5 * 2^23: added to a number, leaves it rounded to an integer in the low bits
    -0.693359375, // -ln(2) in two parts, of which the first times any exponent is exact
    2.12194440e-4,
    1.9875691500e-4,
    1.3981999507e-3,
    8.3334519073e-3,
    4.1665795894e-2,
    1.6666665459e-1,
    5.0000001201e-1,
    1.0,
    -87.33, // below, exp is no normal number any more
    -104.0,
    89.0,
    0.625,
    20.0,
    -5.70498872745e-3,
    2.06390887954e-2,
    -5.37397155531e-2,
    1.33314422036e-1,
    -3.33332819422e-1,
    -2.0,
  ],
  16,
);

@inline
function constant(index: usize): v128 {
  return v128.load32_splat(constants + (index << 2));
}

/** x * log2(e) rounded to an integer, which stands in the low bits. */
@inline
function exponentOf(x: v128): v128 {
  return multiplyAdd(x, constant(0), constant(1));
}

/** exp(x) / 2^exponent */
@inline
function fractionOf(x: v128, exponent: v128): v128 {
  const n = f32x4.sub(exponent, constant(1));
  const r = multiplyAdd(n, constant(3), multiplyAdd(n, constant(2), x));
  let y = multiplyAdd(constant(4), r, constant(5));
  y = multiplyAdd(y, r, constant(6));
  y = multiplyAdd(y, r, constant(7));
  y = multiplyAdd(y, r, constant(8));
  y = multiplyAdd(y, r, constant(9));
  return f32x4.add(multiplyAdd(y, f32x4.mul(r, r), r), constant(10));
}

/** Any x: infinity above 88.73, 0 below -103.98; NaN stays. */
@inline
export function exp(x: v128): v128 {
  const inRange = f32x4.pmin(f32x4.pmax(x, constant(12)), constant(13));
  const exponent = exponentOf(inRange);
  const fraction = fractionOf(inRange, exponent);
  // 2^exponent alone may be no float32: two factors
  const n = i32x4.sub(exponent, constant(1));
  const half = i32x4.shr_s(n, 1);
  const first = i32x4.add(i32x4.shl(half, 23), constant(10));
  const second = i32x4.add(i32x4.shl(i32x4.sub(n, half), 23), constant(10));
  return f32x4.mul(f32x4.mul(fraction, first), second);
}

/** x at most 88, for example a score less the greatest score: exactly 0 below -87.33. */
@inline
export function expOfSmall(x: v128): v128 {
  const exponent = exponentOf(x);
  const scaled = i32x4.add(fractionOf(x, exponent), i32x4.shl(exponent, 23));
  return v128.andnot(scaled, f32x4.lt(x, constant(11)));
}

@inline
export function tanh(x: v128): v128 {
  const sign = v128.and(x, i32x4.splat(i32.MIN_VALUE));
  const size = f32x4.pmin(f32x4.abs(x), constant(15)); // from 9.01 on it is 1
  const one = constant(10);
  const far = multiplyAdd(constant(21), f32x4.div(one, f32x4.add(expOfSmall(f32x4.add(size, size)), one)), one);
  const square = f32x4.mul(size, size);
  let y = multiplyAdd(constant(16), square, constant(17));
  y = multiplyAdd(y, square, constant(18));
  y = multiplyAdd(y, square, constant(19));
  y = multiplyAdd(y, square, constant(20));
  const near = multiplyAdd(f32x4.mul(y, square), size, size);
  return v128.or(v128.bitselect(near, far, f32x4.lt(size, constant(14))), sign);
}

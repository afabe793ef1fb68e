/** The activations of a plan, four numbers at once. */
import { exp, expOfSmall, tanh } from './exp';
import { multiplyAdd } from './vector';

// Norbert Juffa's erff (https://stackoverflow.com/a/35148199): a polynomial near 0, the exponential of one further out.
const constants = memory.data<f32>(
  [
    -5.96761703e-4, 4.99119423e-3, -2.67681349e-2, 1.12819925e-1, -3.76125336e-1, 1.28379166e-1, // near 0
    -1.72853470e-5, 3.83197126e-4, -3.88396438e-3, 2.42546219e-2, -1.06777877e-1, -6.34846687e-1, -1.28717512e-1,
    0.921875, // where the one takes over from the other
    5, // from here on what is left of the integral, 2e-12, is 0
    0.70710678118654752,
  ],
  16,
);

@inline
function constant(index: usize): v128 {
  return v128.load32_splat(constants + (index << 2));
}

/** 1 + erf(x): absolute error at most 2e-7, and no difference of near numbers where it is small. */
@inline
function onePlusErf(x: v128): v128 {
  const size = f32x4.abs(x);
  const square = f32x4.mul(x, x);
  let near = multiplyAdd(constant(0), square, constant(1));
  near = multiplyAdd(near, square, constant(2));
  near = multiplyAdd(near, square, constant(3));
  near = multiplyAdd(near, square, constant(4));
  near = multiplyAdd(near, square, constant(5));
  near = f32x4.add(multiplyAdd(near, x, x), f32x4.splat(1));
  const upper = multiplyAdd(constant(6), size, constant(7));
  let far = multiplyAdd(upper, square, multiplyAdd(constant(8), size, constant(9)));
  far = multiplyAdd(far, size, constant(10));
  far = multiplyAdd(far, size, constant(11));
  far = multiplyAdd(far, size, constant(12));
  far = f32x4.sub(f32x4.mul(far, size), size);
  const rest = v128.andnot(expOfSmall(far), f32x4.ge(size, constant(14)));
  far = v128.bitselect(rest, f32x4.sub(f32x4.splat(2), rest), f32x4.lt(x, f32x4.splat(0)));
  return v128.bitselect(far, near, f32x4.gt(size, constant(13)));
}

/** x * sigmoid(slope): at a large negative slope a division by infinity, nowhere a difference of near numbers. */
@inline
function gated(x: v128, slope: v128): v128 {
  return f32x4.div(x, f32x4.add(exp(f32x4.neg(slope)), f32x4.splat(1)));
}

/** `name` counts as in docs/simd-runtime.md; a constant where this is inlined, so that one case is left. */
@inline
export function activate(name: i32, x: v128): v128 {
  if (name == 0) return gated(x, x);
  if (name == 1) {
    const half = f32x4.mul(x, f32x4.splat(0.5));
    return f32x4.mul(half, onePlusErf(f32x4.mul(x, constant(15))));
  }
  if (name == 2) {
    // 0.5 * x * (1 + tanh(u)) = x * sigmoid(2 * u)
    const cube = f32x4.mul(f32x4.mul(x, x), x);
    const linear = f32x4.mul(x, f32x4.splat(1.5957691216057308));
    return gated(x, multiplyAdd(cube, f32x4.splat(0.07135481627260025), linear));
  }
  if (name == 3) return gated(x, f32x4.mul(x, f32x4.splat(1.702)));
  if (name == 4) return f32x4.max(x, f32x4.splat(0));
  if (name == 5) return gated(f32x4.splat(1), x);
  return tanh(x);
}

/** Activations to int8, in the form that the kernels of the products read straight through. */

import { endOf, firstOf, ownOffset } from './threads';

/** Bytes of a record: 32 activations of a token. */
export const recordOfActivations: usize = 64;

const tail = memory.data(128, 16) + ownOffset;

/** Bytes that `quantiseRows` writes, and three records more: four tokens are read where there may be one. */
export function quantisedBytes(rows: i32, columns: i32): i32 {
  return (rows * ((columns + 31) >> 5) + 3) * <i32>recordOfActivations;
}

/**
 * Blocks of 32: x = scale * q with q in -127..127 and scale = max|x| / 127. `from` is [rows][fromStride] float32, of
 * which `columns` count; `to` is [block][row] of records (docs/simd-runtime.md).
 */
export function quantiseRows(from: usize, fromStride: i32, rows: i32, columns: i32, to: usize): void {
  const whole = columns >> 5;
  if (ASC_FEATURE_THREADS) from += <usize>(firstOf(rows) * fromStride) << 2;
  for (let row = firstOf(rows), end = endOf(rows); row < end; row++) {
    let out = to + <usize>row * recordOfActivations;
    let at = from;
    for (let block = 0; block < whole; block++) {
      quantiseBlock(at, out);
      at += 128;
      out += <usize>rows * recordOfActivations;
    }
    if (columns & 31) {
      memory.fill(tail, 0, 128);
      memory.copy(tail, at, (columns & 31) << 2);
      quantiseBlock(tail, out);
    }
    from += <usize>fromStride << 2;
  }
}

@inline
function largest(a: v128, b: v128): v128 {
  return f32x4.max(f32x4.abs(a), f32x4.abs(b));
}

@inline
function rounded(x: v128, factor: v128): v128 {
  return i32x4.trunc_sat_f32x4_s(f32x4.nearest(f32x4.mul(x, factor)));
}

function quantiseBlock(at: usize, to: usize): void {
  let peak = f32x4.max(
    f32x4.max(largest(v128.load(at), v128.load(at, 16)), largest(v128.load(at, 32), v128.load(at, 48))),
    f32x4.max(largest(v128.load(at, 64), v128.load(at, 80)), largest(v128.load(at, 96), v128.load(at, 112))),
  );
  peak = f32x4.max(peak, v128.shuffle<i32>(peak, peak, 2, 3, 0, 1));
  peak = f32x4.max(peak, v128.shuffle<i32>(peak, peak, 1, 0, 3, 2));
  const most = f32x4.extract_lane(peak, 0);
  // Smaller ones have no reciprocal in float32, and weigh nothing.
  const factor = f32x4.splat(most < 1e-35 ? 0 : 127 / most);
  const scale: f32 = most < 1e-35 ? 0 : most / 127;
  const first = quantise16(at, to, factor, scale);
  const last = quantise16(at + 64, to + 32, factor, scale);
  store<f32>(to, scale * <f32>(first + last), 24);
}

/** Half a record: 16 numbers, the scale, scale * sum. Returns the sum. */
@inline
function quantise16(at: usize, to: usize, factor: v128, scale: f32): i32 {
  const a = rounded(v128.load(at), factor);
  const b = rounded(v128.load(at, 16), factor);
  const c = rounded(v128.load(at, 32), factor);
  const d = rounded(v128.load(at, 48), factor);
  v128.store(to, i8x16.narrow_i16x8_s(i16x8.narrow_i32x4_s(a, b), i16x8.narrow_i32x4_s(c, d)));
  const four = i32x4.add(i32x4.add(a, b), i32x4.add(c, d));
  const two = i32x4.add(four, v128.shuffle<i32>(four, four, 2, 3, 0, 1));
  const sum = i32x4.extract_lane(two, 0) + i32x4.extract_lane(two, 1);
  store<f32>(to, scale, 16);
  store<f32>(to, scale * <f32>sum, 20);
  return sum;
}

/** A packed matrix as docs/simd-runtime.md lays it out, and the reading of its scales. */

export const kindQ4 = 0;
export const kindQ8 = 1;
export const kindF32 = 2;
export const kindF16 = 3;

/** The descriptor. */
@unmanaged
export class Matrix {
  kind: i32;
  rows8: i32;
  columns32: i32;
  scaleBlock: i32;
  scaleFormat: i32;
  data: usize;
  recordBytes: i32;
  zeroPoint: f32;
  rows: i32;
  columns: i32;
}

// V8 builds a vector constant anew at each use, in three instructions; a load is one.
export const lowNibbles = memory.data<u32>([0x0f0f0f0f, 0x0f0f0f0f, 0x0f0f0f0f, 0x0f0f0f0f], 16);
const halfBits = memory.data<u32>([0x8fffe000, 0x8fffe000, 0x8fffe000, 0x8fffe000], 16);
/** 2^112: from the exponents of float16, moved to their place in float32, to those of float32. */
const rebias = memory.data<u32>([0x77800000, 0x77800000, 0x77800000, 0x77800000], 16);

/** Float16 in the upper half of each lane, subnormals included; not infinities and NaN. */
@inline
export function halvesToFloats(words: v128): v128 {
  const moved = v128.and(i32x4.shr_s(words, 3), v128.load(halfBits));
  return f32x4.mul(moved, v128.load(rebias));
}

/** Bytes of scales for 4 rows of one block. */
@inline
export function quadBytes(format: i32): usize {
  return format === 0 ? 32 : format === 3 ? 8 : 16;
}

/** Of 4 rows. */
@inline
export function scalesOf(format: i32, at: usize): v128 {
  if (format === 3) return halvesToFloats(i32x4.shl(i32x4.extend_low_i16x8_u(v128.load64_zero(at)), 16));
  const words = v128.load(at);
  return format === 1 || format === 4 ? halvesToFloats(words) : words;
}

@inline
export function minimaOf(format: i32, at: usize, scales: v128, zeroPoint: f32): v128 {
  if (format === 0) return v128.load(at, 16);
  if (format === 1) return i32x4.shl(v128.load(at), 16);
  const zeroPoints = format === 4 ? halvesToFloats(i32x4.shl(v128.load(at), 16)) : f32x4.splat(zeroPoint);
  return f32x4.neg(f32x4.mul(zeroPoints, scales));
}

/** a * b + c, with one rounding where that is fast. */
@inline
export function multiplyAdd(a: v128, b: v128, c: v128): v128 {
  return ASC_FEATURE_RELAXED_SIMD ? f32x4.relaxed_madd(a, b, c) : f32x4.add(f32x4.mul(a, b), c);
}

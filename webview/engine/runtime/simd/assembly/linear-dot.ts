/** Dot products of nibbles with int8 activations: 4 columns of 4 rows in a vector, summed within each row. */

/**
 * Sums of neighbours, in int16; a nibble is 0..15, so 8 such vectors (2 * 15 * 127 each) add up without overflow. The
 * relaxed product takes numbers up to 127 as its second factor.
 */
@inline
export function pairs(nibbles: v128, activations: v128): v128 {
  if (ASC_FEATURE_RELAXED_SIMD) return i16x8.relaxed_dot_i8x16_i7x16_s(activations, nibbles);
  const even = i16x8.mul(v128.and(nibbles, i16x8.splat(255)), i16x8.shr_s(i16x8.shl(activations, 8), 8));
  return i16x8.add(even, i16x8.mul(i16x8.shr_u(nibbles, 8), i16x8.shr_s(activations, 8)));
}

@inline
export function widen(pairs: v128): v128 {
  return i32x4.extadd_pairwise_i16x8_s(pairs);
}

@inline
function fused(nibbles: v128, activations: v128, sum: v128): v128 {
  if (ASC_FEATURE_RELAXED_SIMD) return i32x4.relaxed_dot_i8x16_i7x16_add_s(activations, nibbles, sum);
  return sum; // never: hasFusedDot() is false
}

/** The first of up to 8 products that are summed: int32, or int16 where that is faster. */
@inline
export function firstDot(isFused: bool, nibbles: v128, activations: v128): v128 {
  return isFused ? fused(nibbles, activations, i32x4.splat(0)) : pairs(nibbles, activations);
}

@inline
export function addDot(isFused: bool, sum: v128, nibbles: v128, activations: v128): v128 {
  return isFused ? fused(nibbles, activations, sum) : i16x8.add(sum, pairs(nibbles, activations));
}

/** Int32. */
@inline
export function totalOf(isFused: bool, sum: v128): v128 {
  return isFused ? sum : widen(sum);
}

let choice: i32 = -1;

/** For tests: 0 never, 1 always, -1 where it is one instruction. The numbers are the same. */
export function useFusedDot(wanted: i32): void {
  choice = wanted;
}

/**
 * Whether the dot product that adds is one instruction (x86 with AVX-VNNI, ARM with dot products). What relaxed SIMD
 * leaves open tells: of 4 products of 127 with the byte 255, VNNI makes 4 * 127 * 255, ARM 4 * 127 * -1; the three
 * instructions of older x86 saturate at 2 * 32767.
 */
export function hasFusedDot(): bool {
  if (!ASC_FEATURE_RELAXED_SIMD) return false;
  if (choice >= 0) return choice !== 0;
  const sum = i32x4.extract_lane(fused(i8x16.splat(-1), i8x16.splat(127), i32x4.splat(1)), 0);
  return sum === 129_541 || sum === -507;
}

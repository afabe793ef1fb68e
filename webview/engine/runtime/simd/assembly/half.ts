/** Float16 as the cache stores it: numbers past 65,504 become that, so infinities need no care when they are read. */

const constants = memory.data<u32>(
  [
    0x77800000, // 2^112: from the exponents of float16, moved to their place in float32, to those of float32
    0x8fffe000,
    0x477fe000, // 65504
    0x3f000000, // 0.5, whose last bit is 2^-24, the last bit of subnormal float16
    0x38800000, // 2^-14, the least normal float16
    0x37fff001, // what rounds a float32 moved by 13 bits and rebased, less the bit that is kept
  ],
  16,
);

@inline
function constant(index: usize): v128 {
  return v128.load32_splat(constants + (index << 2));
}

/** Four float32 in the low halves of four lanes, rounded to the nearest float16, ties to even. */
@inline
export function floatsToHalves(x: v128): v128 {
  const sign = v128.and(i32x4.shr_u(x, 16), i32x4.splat(0x8000));
  const size = f32x4.pmin(f32x4.abs(x), constant(2));
  const small = i32x4.sub(f32x4.add(size, constant(3)), constant(3));
  const odd = v128.and(i32x4.shr_u(size, 13), i32x4.splat(1));
  const normal = i32x4.shr_u(i32x4.sub(i32x4.add(size, odd), constant(5)), 13);
  return v128.or(v128.bitselect(small, normal, f32x4.lt(size, constant(4))), sign);
}

/** `count` float16, a multiple of 4, at a multiple of 8 bytes. */
export function expandHalves(from: usize, count: i32, to: usize): void {
  const rebias = constant(0);
  const bits = constant(1);
  const end = from + (<usize>count << 1);
  for (; from + 32 <= end; from += 32) {
    v128.store(to, expand(v128.load16x4_s(from), bits, rebias));
    v128.store(to, expand(v128.load16x4_s(from, 8), bits, rebias), 16);
    v128.store(to, expand(v128.load16x4_s(from, 16), bits, rebias), 32);
    v128.store(to, expand(v128.load16x4_s(from, 24), bits, rebias), 48);
    to += 64;
  }
  for (; from < end; from += 8) {
    v128.store(to, expand(v128.load16x4_s(from), bits, rebias));
    to += 16;
  }
}

/** Float16 in the low halves of lanes that continue its sign. */
@inline
function expand(halves: v128, bits: v128, rebias: v128): v128 {
  return f32x4.mul(v128.and(i32x4.shl(halves, 13), bits), rebias);
}

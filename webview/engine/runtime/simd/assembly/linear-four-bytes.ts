/** 32 columns of 4 rows of 8-bit weights with the activations of four tokens. */
import { addDot, firstDot, totalOf } from './linear-dot';
import { addFour } from './linear-four-sums';
import { halvesToFloats, lowNibbles, Matrix, minimaOf, scalesOf } from './linear-matrix';

/** `x` is the record and `sum` the sums of the first token; the order of the lines is that of the registers. */
@inline
export function bytesOfFour(isFused: bool, m: Matrix, at: usize, entry: usize, x: usize, sum: usize): void {
  const mask = v128.load(lowNibbles);
  let v = v128.load(at, 0);
  let low = v128.and(v, mask);
  let high = v128.and(i16x8.shr_u(v, 4), mask);
  let y = v128.load32_splat(x);
  let l0 = firstDot(isFused, low, y);
  let h0 = firstDot(isFused, high, y);
  y = v128.load32_splat(x, 64);
  let l1 = firstDot(isFused, low, y);
  let h1 = firstDot(isFused, high, y);
  y = v128.load32_splat(x, 128);
  let l2 = firstDot(isFused, low, y);
  let h2 = firstDot(isFused, high, y);
  y = v128.load32_splat(x, 192);
  let l3 = firstDot(isFused, low, y);
  let h3 = firstDot(isFused, high, y);
  v = v128.load(at, 32);
  low = v128.and(v, mask);
  high = v128.and(i16x8.shr_u(v, 4), mask);
  y = v128.load32_splat(x, 4);
  l0 = addDot(isFused, l0, low, y);
  h0 = addDot(isFused, h0, high, y);
  y = v128.load32_splat(x, 68);
  l1 = addDot(isFused, l1, low, y);
  h1 = addDot(isFused, h1, high, y);
  y = v128.load32_splat(x, 132);
  l2 = addDot(isFused, l2, low, y);
  h2 = addDot(isFused, h2, high, y);
  y = v128.load32_splat(x, 196);
  l3 = addDot(isFused, l3, low, y);
  h3 = addDot(isFused, h3, high, y);
  v = v128.load(at, 64);
  low = v128.and(v, mask);
  high = v128.and(i16x8.shr_u(v, 4), mask);
  y = v128.load32_splat(x, 8);
  l0 = addDot(isFused, l0, low, y);
  h0 = addDot(isFused, h0, high, y);
  y = v128.load32_splat(x, 72);
  l1 = addDot(isFused, l1, low, y);
  h1 = addDot(isFused, h1, high, y);
  y = v128.load32_splat(x, 136);
  l2 = addDot(isFused, l2, low, y);
  h2 = addDot(isFused, h2, high, y);
  y = v128.load32_splat(x, 200);
  l3 = addDot(isFused, l3, low, y);
  h3 = addDot(isFused, h3, high, y);
  v = v128.load(at, 96);
  low = v128.and(v, mask);
  high = v128.and(i16x8.shr_u(v, 4), mask);
  y = v128.load32_splat(x, 12);
  l0 = addDot(isFused, l0, low, y);
  h0 = addDot(isFused, h0, high, y);
  y = v128.load32_splat(x, 76);
  l1 = addDot(isFused, l1, low, y);
  h1 = addDot(isFused, h1, high, y);
  y = v128.load32_splat(x, 140);
  l2 = addDot(isFused, l2, low, y);
  h2 = addDot(isFused, h2, high, y);
  y = v128.load32_splat(x, 204);
  l3 = addDot(isFused, l3, low, y);
  h3 = addDot(isFused, h3, high, y);
  v = v128.load(at, 128);
  low = v128.and(v, mask);
  high = v128.and(i16x8.shr_u(v, 4), mask);
  y = v128.load32_splat(x, 32);
  l0 = addDot(isFused, l0, low, y);
  h0 = addDot(isFused, h0, high, y);
  y = v128.load32_splat(x, 96);
  l1 = addDot(isFused, l1, low, y);
  h1 = addDot(isFused, h1, high, y);
  y = v128.load32_splat(x, 160);
  l2 = addDot(isFused, l2, low, y);
  h2 = addDot(isFused, h2, high, y);
  y = v128.load32_splat(x, 224);
  l3 = addDot(isFused, l3, low, y);
  h3 = addDot(isFused, h3, high, y);
  v = v128.load(at, 160);
  low = v128.and(v, mask);
  high = v128.and(i16x8.shr_u(v, 4), mask);
  y = v128.load32_splat(x, 36);
  l0 = addDot(isFused, l0, low, y);
  h0 = addDot(isFused, h0, high, y);
  y = v128.load32_splat(x, 100);
  l1 = addDot(isFused, l1, low, y);
  h1 = addDot(isFused, h1, high, y);
  y = v128.load32_splat(x, 164);
  l2 = addDot(isFused, l2, low, y);
  h2 = addDot(isFused, h2, high, y);
  y = v128.load32_splat(x, 228);
  l3 = addDot(isFused, l3, low, y);
  h3 = addDot(isFused, h3, high, y);
  v = v128.load(at, 192);
  low = v128.and(v, mask);
  high = v128.and(i16x8.shr_u(v, 4), mask);
  y = v128.load32_splat(x, 40);
  l0 = addDot(isFused, l0, low, y);
  h0 = addDot(isFused, h0, high, y);
  y = v128.load32_splat(x, 104);
  l1 = addDot(isFused, l1, low, y);
  h1 = addDot(isFused, h1, high, y);
  y = v128.load32_splat(x, 168);
  l2 = addDot(isFused, l2, low, y);
  h2 = addDot(isFused, h2, high, y);
  y = v128.load32_splat(x, 232);
  l3 = addDot(isFused, l3, low, y);
  h3 = addDot(isFused, h3, high, y);
  v = v128.load(at, 224);
  low = v128.and(v, mask);
  high = v128.and(i16x8.shr_u(v, 4), mask);
  y = v128.load32_splat(x, 44);
  l0 = addDot(isFused, l0, low, y);
  h0 = addDot(isFused, h0, high, y);
  y = v128.load32_splat(x, 108);
  l1 = addDot(isFused, l1, low, y);
  h1 = addDot(isFused, h1, high, y);
  y = v128.load32_splat(x, 172);
  l2 = addDot(isFused, l2, low, y);
  h2 = addDot(isFused, h2, high, y);
  y = v128.load32_splat(x, 236);
  l3 = addDot(isFused, l3, low, y);
  h3 = addDot(isFused, h3, high, y);

  const format = m.scaleFormat;
  let scale: v128;
  let minimum: v128;
  if (format === 1) {
    v = v128.load(entry);
    scale = halvesToFloats(v);
    minimum = i32x4.shl(v, 16);
  } else {
    scale = scalesOf(format, entry);
    minimum = minimaOf(format, entry, scale, m.zeroPoint);
  }
  addFour(
    x,
    sum,
    scale,
    minimum,
    i32x4.add(i32x4.shl(totalOf(isFused, h0), 4), totalOf(isFused, l0)),
    i32x4.add(i32x4.shl(totalOf(isFused, h1), 4), totalOf(isFused, l1)),
    i32x4.add(i32x4.shl(totalOf(isFused, h2), 4), totalOf(isFused, l2)),
    i32x4.add(i32x4.shl(totalOf(isFused, h3), 4), totalOf(isFused, l3)),
  );
}

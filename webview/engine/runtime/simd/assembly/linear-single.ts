/** The products of one token, with the sums of 8 rows in registers. */
import { addDot, firstDot, totalOf, widen } from './linear-dot';
import {
  halvesToFloats,
  kindQ4,
  lowNibbles,
  Matrix,
  minimaOf,
  multiplyAdd,
  quadBytes,
  scalesOf,
} from './linear-matrix';

/**
 * Rows `row` to `end` of the matrix, multiples of 8. `x` is the token's first record of activations, `xStride` bytes
 * before its next; `bias` float32 of those rows, or 0; `to` float32 of those rows.
 */
export function single(
  m: Matrix,
  isFused: bool,
  row: i32,
  end: i32,
  x: usize,
  xStride: usize,
  bias: usize,
  to: usize,
): void {
  if (m.kind === kindQ4) {
    if (isFused) singleNibblesFused(m, row, end, x, xStride, bias, to);
    else singleNibbles(m, row, end, x, xStride, bias, to);
  } else {
    if (isFused) singleBytesFused(m, row, end, x, xStride, bias, to);
    else singleBytes(m, row, end, x, xStride, bias, to);
  }
}

// One copy of the loops for each way, so that none is decided inside.
function singleNibbles(m: Matrix, row: i32, end: i32, x: usize, xStride: usize, bias: usize, to: usize): void {
  multiplyNibbles(false, m, row, end, x, xStride, bias, to);
}
function singleNibblesFused(m: Matrix, row: i32, end: i32, x: usize, xStride: usize, bias: usize, to: usize): void {
  multiplyNibbles(true, m, row, end, x, xStride, bias, to);
}
function singleBytes(m: Matrix, row: i32, end: i32, x: usize, xStride: usize, bias: usize, to: usize): void {
  multiplyBytes(false, m, row, end, x, xStride, bias, to);
}
function singleBytesFused(m: Matrix, row: i32, end: i32, x: usize, xStride: usize, bias: usize, to: usize): void {
  multiplyBytes(true, m, row, end, x, xStride, bias, to);
}

/** Each vector of activations goes to both quads. */
@inline
function multiplyNibbles(
  isFused: bool,
  m: Matrix,
  row: i32,
  end: i32,
  x: usize,
  xStride: usize,
  bias: usize,
  to: usize,
): void {
  const mask = v128.load(lowNibbles);
  const format = m.scaleFormat;
  const record = <usize>m.recordBytes;
  const groupBytes = <usize>(m.columns32 >> 5) * record;
  let at = m.data + <usize>(row >> 3) * groupBytes;
  for (; row < end; row += 8, to += 32) {
    let a = bias ? v128.load(bias) : f32x4.splat(0);
    let b = bias ? v128.load(bias, 16) : f32x4.splat(0);
    if (bias) bias += 32;
    let p = x;
    for (const groupEnd = at + groupBytes; at < groupEnd; at += record) {
      let y = v128.load32_splat(p);
      let v = v128.load(at);
      let w = v128.load(at, 16);
      let first = firstDot(isFused, v128.and(v, mask), y);
      let second = firstDot(isFused, v128.and(w, mask), y);
      y = v128.load32_splat(p, 32);
      first = addDot(isFused, first, v128.and(i16x8.shr_u(v, 4), mask), y);
      second = addDot(isFused, second, v128.and(i16x8.shr_u(w, 4), mask), y);
      y = v128.load32_splat(p, 4);
      v = v128.load(at, 32);
      w = v128.load(at, 48);
      first = addDot(isFused, first, v128.and(v, mask), y);
      second = addDot(isFused, second, v128.and(w, mask), y);
      y = v128.load32_splat(p, 36);
      first = addDot(isFused, first, v128.and(i16x8.shr_u(v, 4), mask), y);
      second = addDot(isFused, second, v128.and(i16x8.shr_u(w, 4), mask), y);
      y = v128.load32_splat(p, 8);
      v = v128.load(at, 64);
      w = v128.load(at, 80);
      first = addDot(isFused, first, v128.and(v, mask), y);
      second = addDot(isFused, second, v128.and(w, mask), y);
      y = v128.load32_splat(p, 40);
      first = addDot(isFused, first, v128.and(i16x8.shr_u(v, 4), mask), y);
      second = addDot(isFused, second, v128.and(i16x8.shr_u(w, 4), mask), y);
      y = v128.load32_splat(p, 12);
      v = v128.load(at, 96);
      w = v128.load(at, 112);
      first = addDot(isFused, first, v128.and(v, mask), y);
      second = addDot(isFused, second, v128.and(w, mask), y);
      y = v128.load32_splat(p, 44);
      first = totalOf(isFused, addDot(isFused, first, v128.and(i16x8.shr_u(v, 4), mask), y));
      second = totalOf(isFused, addDot(isFused, second, v128.and(i16x8.shr_u(w, 4), mask), y));
      a = multiplyQuad(m, format, at + 128, first, p, a);
      b = multiplyQuad(m, format, at + 128 + quadBytes(format), second, p, b);
      p += xStride;
    }
    v128.store(to, a);
    v128.store(to, b, 16);
  }
}

@inline
function multiplyBytes(
  isFused: bool,
  m: Matrix,
  row: i32,
  end: i32,
  x: usize,
  xStride: usize,
  bias: usize,
  to: usize,
): void {
  const mask = v128.load(lowNibbles);
  const format = m.scaleFormat;
  const record = <usize>m.recordBytes;
  const groupBytes = <usize>(m.columns32 >> 5) * record;
  let at = m.data + <usize>(row >> 3) * groupBytes;
  for (; row < end; row += 8, to += 32) {
    let a = bias ? v128.load(bias) : f32x4.splat(0);
    let b = bias ? v128.load(bias, 16) : f32x4.splat(0);
    if (bias) bias += 32;
    let p = x;
    for (const groupEnd = at + groupBytes; at < groupEnd; at += record) {
      const first = byteDots(isFused, at, p, mask);
      const second = byteDots(isFused, at + 16, p, mask);
      a = multiplyQuad(m, format, at + 256, first, p, a);
      b = multiplyQuad(m, format, at + 256 + quadBytes(format), second, p, b);
      p += xStride;
    }
    v128.store(to, a);
    v128.store(to, b, 16);
  }
}

@inline
function multiplyQuad(m: Matrix, format: i32, entry: usize, dots: v128, p: usize, sum: v128): v128 {
  let scale: v128;
  let minimum: v128;
  if (format === 1) {
    const words = v128.load(entry);
    scale = halvesToFloats(words);
    minimum = i32x4.shl(words, 16);
  } else {
    scale = scalesOf(format, entry);
    minimum = minimaOf(format, entry, scale, m.zeroPoint);
  }
  const scaled = f32x4.mul(scale, v128.load32_splat(p, 16));
  return multiplyAdd(scaled, f32x4.convert_i32x4_s(dots), multiplyAdd(minimum, v128.load32_splat(p, 24), sum));
}

/** Of 32 columns of 4 rows, int32: 16 * the upper nibbles + the lower. */
@inline
function byteDots(isFused: bool, at: usize, x: usize, mask: v128): v128 {
  let v = v128.load(at);
  let y = v128.load32_splat(x);
  let low = firstDot(isFused, v128.and(v, mask), y);
  let high = firstDot(isFused, v128.and(i16x8.shr_u(v, 4), mask), y);
  v = v128.load(at, 32);
  y = v128.load32_splat(x, 4);
  low = addDot(isFused, low, v128.and(v, mask), y);
  high = addDot(isFused, high, v128.and(i16x8.shr_u(v, 4), mask), y);
  v = v128.load(at, 64);
  y = v128.load32_splat(x, 8);
  low = addDot(isFused, low, v128.and(v, mask), y);
  high = addDot(isFused, high, v128.and(i16x8.shr_u(v, 4), mask), y);
  v = v128.load(at, 96);
  y = v128.load32_splat(x, 12);
  low = addDot(isFused, low, v128.and(v, mask), y);
  high = addDot(isFused, high, v128.and(i16x8.shr_u(v, 4), mask), y);
  v = v128.load(at, 128);
  y = v128.load32_splat(x, 32);
  low = addDot(isFused, low, v128.and(v, mask), y);
  high = addDot(isFused, high, v128.and(i16x8.shr_u(v, 4), mask), y);
  v = v128.load(at, 160);
  y = v128.load32_splat(x, 36);
  low = addDot(isFused, low, v128.and(v, mask), y);
  high = addDot(isFused, high, v128.and(i16x8.shr_u(v, 4), mask), y);
  v = v128.load(at, 192);
  y = v128.load32_splat(x, 40);
  low = addDot(isFused, low, v128.and(v, mask), y);
  high = addDot(isFused, high, v128.and(i16x8.shr_u(v, 4), mask), y);
  v = v128.load(at, 224);
  y = v128.load32_splat(x, 44);
  low = addDot(isFused, low, v128.and(v, mask), y);
  high = addDot(isFused, high, v128.and(i16x8.shr_u(v, 4), mask), y);
  return i32x4.add(i32x4.shl(totalOf(isFused, high), 4), totalOf(isFused, low));
}

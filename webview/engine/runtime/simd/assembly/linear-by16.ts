/**
 * The products with blocks of 16 columns, whose two halves of a record have scales of their own. A record is read
 * once for all tokens of a tile.
 */
import { addDot, firstDot, widen } from './linear-dot';
import { kindQ4, lowNibbles, Matrix, minimaOf, multiplyAdd, quadBytes, scalesOf } from './linear-matrix';
import { recordOfActivations } from './quantise';
import { ownOffset } from './threads';

const mostTokens = 32;
/** For each token 8 rows float32. */
const sums = memory.data(mostTokens * 32, 64) + ownOffset;

/** `bias` float32 [R8] or 0; `to` [rows][toStride]. */
export function by16(m: Matrix, rows: i32, x: usize, bias: usize, to: usize, toStride: i32): void {
  const xStride = <usize>rows * recordOfActivations;
  for (let first = 0; first < rows; first += mostTokens) {
    tile(m, min(mostTokens, rows - first), x, xStride, bias, to, toStride);
    x += mostTokens * recordOfActivations;
    to += (<usize>mostTokens * toStride) << 2;
  }
}

function tile(m: Matrix, count: i32, x: usize, xStride: usize, bias: usize, to: usize, toStride: i32): void {
  const record = <usize>m.recordBytes;
  const groupBytes = <usize>(m.columns32 >> 5) * record;
  const sumsEnd = sums + (<usize>count << 5);
  const entry = 2 * quadBytes(m.scaleFormat);
  let at = m.data;
  for (const end = to + (<usize>m.rows8 << 2); to < end; to += 32) {
    begin(sumsEnd, bias);
    if (bias) bias += 32;
    let xBlock = x;
    for (const groupEnd = at + groupBytes; at < groupEnd; at += record) {
      if (m.kind === kindQ4) {
        nibbles(m, at, at + 128, at + 128 + entry, xBlock, sumsEnd);
      } else {
        bytes(m, at, at + 256, xBlock, sumsEnd);
        bytes(m, at + 128, at + 256 + entry, xBlock + 32, sumsEnd);
      }
      xBlock += xStride;
    }
    finish(sumsEnd, to, toStride);
  }
}

/** The lower nibbles are the first half of the record, the upper ones the last. */
function nibbles(m: Matrix, at: usize, first: usize, last: usize, x: usize, sumsEnd: usize): void {
  const mask = v128.load(lowNibbles);
  const format = m.scaleFormat;
  let quad = sums;
  for (const end = at + 32; at < end; at += 16) {
    const a = v128.load(at);
    const b = v128.load(at, 32);
    const c = v128.load(at, 64);
    const d = v128.load(at, 96);
    const scale = scalesOf(format, first);
    const minimum = minimaOf(format, first, scale, m.zeroPoint);
    const lastScale = scalesOf(format, last);
    const lastMinimum = minimaOf(format, last, lastScale, m.zeroPoint);
    let p = x;
    for (let sum = quad; sum < sumsEnd; sum += 32) {
      const low = dots(v128.and(a, mask), v128.and(b, mask), v128.and(c, mask), v128.and(d, mask), p);
      const high = dots(upper(a, mask), upper(b, mask), upper(c, mask), upper(d, mask), p + 32);
      const total = addProduct(scale, minimum, widen(low), p, v128.load(sum));
      v128.store(sum, addProduct(lastScale, lastMinimum, widen(high), p + 32, total));
      p += recordOfActivations;
    }
    quad += 16;
    first += quadBytes(format);
    last += quadBytes(format);
  }
}

/** Half a record. */
function bytes(m: Matrix, at: usize, entry: usize, x: usize, sumsEnd: usize): void {
  const mask = v128.load(lowNibbles);
  let quad = sums;
  for (const end = at + 32; at < end; at += 16) {
    const a = v128.load(at);
    const b = v128.load(at, 32);
    const c = v128.load(at, 64);
    const d = v128.load(at, 96);
    const scale = scalesOf(m.scaleFormat, entry);
    const minimum = minimaOf(m.scaleFormat, entry, scale, m.zeroPoint);
    let p = x;
    for (let sum = quad; sum < sumsEnd; sum += 32) {
      const low = dots(v128.and(a, mask), v128.and(b, mask), v128.and(c, mask), v128.and(d, mask), p);
      const high = dots(upper(a, mask), upper(b, mask), upper(c, mask), upper(d, mask), p);
      const total = i32x4.add(i32x4.shl(widen(high), 4), widen(low));
      v128.store(sum, addProduct(scale, minimum, total, p, v128.load(sum)));
      p += recordOfActivations;
    }
    quad += 16;
    entry += quadBytes(m.scaleFormat);
  }
}

@inline
function upper(v: v128, mask: v128): v128 {
  return v128.and(i16x8.shr_u(v, 4), mask);
}

/** Of 16 columns, int16. */
@inline
function dots(a: v128, b: v128, c: v128, d: v128, x: usize): v128 {
  const first = addDot(false, firstDot(false, a, v128.load32_splat(x)), b, v128.load32_splat(x, 4));
  return addDot(false, addDot(false, first, c, v128.load32_splat(x, 8)), d, v128.load32_splat(x, 12));
}

/** `x` is half a record of activations. */
@inline
function addProduct(scale: v128, minimum: v128, total: v128, x: usize, sum: v128): v128 {
  const shifted = multiplyAdd(minimum, v128.load32_splat(x, 20), sum);
  return multiplyAdd(f32x4.mul(scale, v128.load32_splat(x, 16)), f32x4.convert_i32x4_s(total), shifted);
}

@inline
function begin(end: usize, bias: usize): void {
  const first = bias ? v128.load(bias) : f32x4.splat(0);
  const second = bias ? v128.load(bias, 16) : f32x4.splat(0);
  for (let sum = sums; sum < end; sum += 32) {
    v128.store(sum, first);
    v128.store(sum, second, 16);
  }
}

@inline
function finish(end: usize, to: usize, toStride: i32): void {
  for (let sum = sums; sum < end; sum += 32) {
    v128.store(to, v128.load(sum));
    v128.store(to, v128.load(sum, 16), 16);
    to += <usize>toStride << 2;
  }
}

/**
 * The products of four tokens: each vector of weights is unpacked once for all of them. Eight sums, the weights and one
 * vector of activations are what the registers of x86 hold; sums across blocks are in memory.
 */
import { bytesOfFour } from './linear-four-bytes';
import { nibblesOfFour } from './linear-four-nibbles';
import { beginFour, sums } from './linear-four-sums';
import { kindQ4, Matrix, quadBytes } from './linear-matrix';

/**
 * As `single`, for tokens whose records lie one behind the other, 64 bytes apart; `count` of the four results are
 * written.
 */
export function four(
  m: Matrix,
  isFused: bool,
  row: i32,
  end: i32,
  x: usize,
  xStride: usize,
  count: i32,
  bias: usize,
  to: usize,
  toStride: i32,
): void {
  if (m.kind === kindQ4) {
    if (isFused) fourNibblesFused(m, row, end, x, xStride, count, bias, to, toStride);
    else fourNibbles(m, row, end, x, xStride, count, bias, to, toStride);
  } else {
    if (isFused) fourBytesFused(m, row, end, x, xStride, count, bias, to, toStride);
    else fourBytes(m, row, end, x, xStride, count, bias, to, toStride);
  }
}

// One copy of the loops for each way, so that none is decided inside.
function fourNibbles(
  m: Matrix,
  row: i32,
  end: i32,
  x: usize,
  xStride: usize,
  count: i32,
  bias: usize,
  to: usize,
  toStride: i32,
): void {
  multiply(false, false, m, row, end, x, xStride, count, bias, to, toStride);
}
function fourNibblesFused(
  m: Matrix,
  row: i32,
  end: i32,
  x: usize,
  xStride: usize,
  count: i32,
  bias: usize,
  to: usize,
  toStride: i32,
): void {
  multiply(false, true, m, row, end, x, xStride, count, bias, to, toStride);
}
function fourBytes(
  m: Matrix,
  row: i32,
  end: i32,
  x: usize,
  xStride: usize,
  count: i32,
  bias: usize,
  to: usize,
  toStride: i32,
): void {
  multiply(true, false, m, row, end, x, xStride, count, bias, to, toStride);
}
function fourBytesFused(
  m: Matrix,
  row: i32,
  end: i32,
  x: usize,
  xStride: usize,
  count: i32,
  bias: usize,
  to: usize,
  toStride: i32,
): void {
  multiply(true, true, m, row, end, x, xStride, count, bias, to, toStride);
}

@inline
function multiply(
  isBytes: bool,
  isFused: bool,
  m: Matrix,
  row: i32,
  end: i32,
  x: usize,
  xStride: usize,
  count: i32,
  bias: usize,
  to: usize,
  toStride: i32,
): void {
  const record = <usize>m.recordBytes;
  const format = m.scaleFormat;
  const groupBytes = <usize>(m.columns32 >> 5) * record;
  let at = m.data + <usize>(row >> 3) * groupBytes;
  for (; row < end; row += 8, to += 32) {
    beginFour(bias);
    if (bias) bias += 32;
    let p = x;
    for (const groupEnd = at + groupBytes; at < groupEnd; at += record) {
      if (isBytes) {
        bytesOfFour(isFused, m, at, at + 256, p, sums);
        bytesOfFour(isFused, m, at + 16, at + 256 + quadBytes(format), p, sums + 16);
      } else {
        nibblesOfFour(isFused, m, format, at, p);
      }
      p += xStride;
    }
    for (let token = 0, out = to; token < count; token++, out += <usize>toStride << 2) {
      v128.store(out, v128.load(sums + (<usize>token << 5)));
      v128.store(out, v128.load(sums + (<usize>token << 5), 16), 16);
    }
  }
}

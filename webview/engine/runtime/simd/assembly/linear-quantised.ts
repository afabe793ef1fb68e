/**
 * Products of 4-bit and 8-bit matrices with int8 activations: exact in integers within a block, float32 across blocks.
 *
 * Four rows are four lanes, so that no sum is horizontal. Bytes are two planes of nibbles, because the dot product of
 * relaxed SIMD takes 7 bits.
 */
import { by16 } from './linear-by16';
import { hasFusedDot } from './linear-dot';
import { four } from './linear-four';
import { Matrix } from './linear-matrix';
import { single } from './linear-single';
import { recordOfActivations } from './quantise';

/** Weights that stay in the second-level cache while all tokens pass by. */
const bandBytes = 131_072;

/**
 * `quantised` as `quantiseRows` left it for `rows`; `bias` float32 [R8] or 0; `to` [rows][toStride] float32, of which
 * R8 a row are written. A row has the same bits whatever other rows there are.
 */
export function linearQuantised(
  matrix: usize,
  rows: i32,
  quantised: usize,
  bias: usize,
  to: usize,
  toStride: i32,
): void {
  const m = changetype<Matrix>(matrix);
  if (m.scaleBlock === 16) return by16(m, rows, quantised, bias, to, toStride);
  const isFused = hasFusedDot();
  const xStride = <usize>rows * recordOfActivations;
  const groupBytes = (m.columns32 >> 5) * m.recordBytes;
  const band = rows <= 4 ? m.rows8 : max(1, bandBytes / groupBytes) << 3;
  for (let row = 0; row < m.rows8; row += band) {
    const end = min(m.rows8, row + band);
    const ofBand = bias ? bias + (<usize>row << 2) : 0;
    let x = quantised;
    let out = to + (<usize>row << 2);
    for (let token = 0; token < rows; token += 4) {
      const count = min(4, rows - token);
      // Two are faster one by one than as two of four.
      if (count <= 2) single(m, isFused, row, end, x, xStride, ofBand, out);
      if (count === 2)
        single(m, isFused, row, end, x + recordOfActivations, xStride, ofBand, out + (<usize>toStride << 2));
      if (count > 2) four(m, isFused, row, end, x, xStride, count, ofBand, out, toStride);
      x += 4 * recordOfActivations;
      out += <usize>toStride << 4;
    }
  }
}

/** Rows of a packed matrix as float32: embeddings. */
import { panelOf } from './linear-expand';
import { Matrix } from './linear-matrix';
import { endOf, firstOf, ownOffset } from './threads';

const mostColumns = 32;

const panel = memory.data(mostColumns * 32, 64) + ownOffset;

/** `indexes` int32 [rows], all below the matrix's rows; `to` float32 [rows][toStride], of which C a row are written. */
export function gatherRows(matrix: usize, indexes: usize, rows: i32, to: usize, toStride: i32): void {
  const m = changetype<Matrix>(matrix);
  for (let row = firstOf(rows), end = endOf(rows); row < end; row++) {
    const index = load<i32>(indexes + ((<usize>row) << 2));
    let out = to + ((<usize>row * toStride) << 2);
    for (let column = 0; column < m.columns; column += mostColumns) {
      const columns = min(mostColumns, m.columns - column);
      const weights = panelOf(m, index & ~7, column, columns, panel) + ((<usize>(index & 7)) << 2);
      for (let i: usize = 0; i < <usize>columns; i++) store<f32>(out + (i << 2), load<f32>(weights + (i << 5)));
      out += mostColumns << 2;
    }
  }
}

/** Products of every kind of matrix with float32 activations. */
import { panelOf } from './linear-expand';
import { Matrix, multiplyAdd } from './linear-matrix';
import { ownOffset } from './threads';

const mostTokens = 32;
/** A panel of 8 rows stays in the first-level cache. */
const mostColumns = 256;

const panel = memory.data(mostColumns * 32, 64) + ownOffset;
/** For each token the sums over even columns of 8 rows, then those over odd ones: 4 independent chains. */
const sums = memory.data(mostTokens * 64, 64) + ownOffset;

/**
 * `from` is [rows][fromStride] float32, of which the matrix's columns count; `bias` float32 [R8] or 0; `to`
 * [rows][toStride] float32, of which R8 a row are written. The sums have one order, whatever the number of rows.
 */
export function linearFloat(
  matrix: usize,
  rows: i32,
  from: usize,
  fromStride: i32,
  bias: usize,
  to: usize,
  toStride: i32,
): void {
  const m = changetype<Matrix>(matrix);
  for (let first = 0; first < rows; first += mostTokens) {
    const count = min(mostTokens, rows - first);
    for (let row = 0; row < m.rows8; row += 8) {
      memory.fill(sums, 0, (<usize>count) << 6);
      for (let column = 0; column < m.columns; column += mostColumns) {
        const columns = min(mostColumns, m.columns - column);
        const weights = panelOf(m, row, column, columns, panel);
        const x = from + ((<usize>column) << 2);
        let token = 0;
        for (; token + 2 <= count; token += 2) multiplyTwo(weights, columns, x, fromStride, token);
        if (token < count) multiplyOne(weights, columns, x, fromStride, token);
      }
      finish(count, bias ? bias + ((<usize>row) << 2) : 0, to + ((<usize>row) << 2), toStride);
    }
    from += (<usize>mostTokens * fromStride) << 2;
    to += (<usize>mostTokens * toStride) << 2;
  }
}

function multiplyOne(weights: usize, columns: i32, x: usize, stride: i32, token: i32): void {
  const sum = sums + ((<usize>token) << 6);
  x += (<usize>token * stride) << 2;
  let a = v128.load(sum);
  let b = v128.load(sum, 16);
  let c = v128.load(sum, 32);
  let d = v128.load(sum, 48);
  for (const end = weights + ((<usize>(columns >> 1)) << 6); weights < end; weights += 64) {
    const even = v128.load32_splat(x);
    const odd = v128.load32_splat(x, 4);
    a = multiplyAdd(v128.load(weights), even, a);
    b = multiplyAdd(v128.load(weights, 16), even, b);
    c = multiplyAdd(v128.load(weights, 32), odd, c);
    d = multiplyAdd(v128.load(weights, 48), odd, d);
    x += 8;
  }
  if (columns & 1) {
    const even = v128.load32_splat(x);
    a = multiplyAdd(v128.load(weights), even, a);
    b = multiplyAdd(v128.load(weights, 16), even, b);
  }
  v128.store(sum, a);
  v128.store(sum, b, 16);
  v128.store(sum, c, 32);
  v128.store(sum, d, 48);
}

/** As `multiplyOne` for a token and the next. */
function multiplyTwo(weights: usize, columns: i32, x: usize, stride: i32, token: i32): void {
  const sum = sums + ((<usize>token) << 6);
  x += (<usize>token * stride) << 2;
  let y = x + ((<usize>stride) << 2);
  let a = v128.load(sum);
  let b = v128.load(sum, 16);
  let c = v128.load(sum, 32);
  let d = v128.load(sum, 48);
  let e = v128.load(sum, 64);
  let f = v128.load(sum, 80);
  let g = v128.load(sum, 96);
  let h = v128.load(sum, 112);
  for (const end = weights + ((<usize>(columns >> 1)) << 6); weights < end; weights += 64) {
    let u = v128.load(weights);
    let v = v128.load(weights, 16);
    const evenX = v128.load32_splat(x);
    const evenY = v128.load32_splat(y);
    a = multiplyAdd(u, evenX, a);
    b = multiplyAdd(v, evenX, b);
    e = multiplyAdd(u, evenY, e);
    f = multiplyAdd(v, evenY, f);
    u = v128.load(weights, 32);
    v = v128.load(weights, 48);
    const oddX = v128.load32_splat(x, 4);
    const oddY = v128.load32_splat(y, 4);
    c = multiplyAdd(u, oddX, c);
    d = multiplyAdd(v, oddX, d);
    g = multiplyAdd(u, oddY, g);
    h = multiplyAdd(v, oddY, h);
    x += 8;
    y += 8;
  }
  if (columns & 1) {
    const u = v128.load(weights);
    const v = v128.load(weights, 16);
    const evenX = v128.load32_splat(x);
    const evenY = v128.load32_splat(y);
    a = multiplyAdd(u, evenX, a);
    b = multiplyAdd(v, evenX, b);
    e = multiplyAdd(u, evenY, e);
    f = multiplyAdd(v, evenY, f);
  }
  v128.store(sum, a);
  v128.store(sum, b, 16);
  v128.store(sum, c, 32);
  v128.store(sum, d, 48);
  v128.store(sum, e, 64);
  v128.store(sum, f, 80);
  v128.store(sum, g, 96);
  v128.store(sum, h, 112);
}

function finish(count: i32, bias: usize, to: usize, toStride: i32): void {
  const first = bias ? v128.load(bias) : f32x4.splat(0);
  const second = bias ? v128.load(bias, 16) : f32x4.splat(0);
  for (let sum = sums, end = sums + ((<usize>count) << 6); sum < end; sum += 64) {
    v128.store(to, f32x4.add(f32x4.add(v128.load(sum), v128.load(sum, 32)), first));
    v128.store(to, f32x4.add(f32x4.add(v128.load(sum, 16), v128.load(sum, 48)), second), 16);
    to += (<usize>toStride) << 2;
  }
}

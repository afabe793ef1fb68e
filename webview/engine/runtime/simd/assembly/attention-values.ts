/**
 * Adds the values of a page, weighted, to what up to 4 queries have so far: sums over tokens in their order, for as
 * many dimensions at a time as registers hold.
 */
import { multiplyAdd } from './vector';

/**
 * `weights` [4][32], of which `tokens` count; `factors` [4], what earlier sums are multiplied by; `values`
 * [padded / 16][32][16], the last block as wide as what is left; `sums` [4][padded].
 */
export function addValues(
  count: i32,
  weights: usize,
  factors: usize,
  tokens: i32,
  values: usize,
  padded: i32,
  sums: usize,
): void {
  const rowBytes = <usize>padded << 2;
  let dim: usize = 0;
  for (; dim + 64 <= rowBytes; dim += 64) {
    const sum = sums + dim;
    if (count == 4) {
      add4(weights, factors, tokens, values, rowBytes, sum);
      add4(weights, factors, tokens, values + 32, rowBytes, sum + 32);
    } else if (count == 3) {
      add3(weights, factors, tokens, values, rowBytes, sum);
    } else if (count == 2) {
      add2(weights, factors, tokens, values, rowBytes, sum);
    } else {
      add1(weights, factors, tokens, values, sum);
    }
    values += 64 * 32;
  }
  const last = rowBytes - dim;
  for (let at: usize = 0; at < last; at += 16)
    for (let i: usize = 0; i < <usize>count; i++)
      addVector(weights + (i << 7), factors + (i << 2), tokens, values + at, last, sums + dim + at + i * rowBytes);
}

/** 8 dimensions; the others 16. */
function add4(weights: usize, factors: usize, tokens: i32, value: usize, rowBytes: usize, sums: usize): void {
  const second = sums + rowBytes;
  const third = second + rowBytes;
  const fourth = third + rowBytes;
  let factor = v128.load32_splat(factors);
  let a0 = f32x4.mul(v128.load(sums), factor);
  let a1 = f32x4.mul(v128.load(sums, 16), factor);
  factor = v128.load32_splat(factors, 4);
  let b0 = f32x4.mul(v128.load(second), factor);
  let b1 = f32x4.mul(v128.load(second, 16), factor);
  factor = v128.load32_splat(factors, 8);
  let c0 = f32x4.mul(v128.load(third), factor);
  let c1 = f32x4.mul(v128.load(third, 16), factor);
  factor = v128.load32_splat(factors, 12);
  let d0 = f32x4.mul(v128.load(fourth), factor);
  let d1 = f32x4.mul(v128.load(fourth, 16), factor);
  for (const end = weights + (<usize>tokens << 2); weights < end; weights += 4) {
    const v0 = v128.load(value);
    const v1 = v128.load(value, 16);
    const a = v128.load32_splat(weights);
    a0 = multiplyAdd(a, v0, a0);
    a1 = multiplyAdd(a, v1, a1);
    const b = v128.load32_splat(weights, 128);
    b0 = multiplyAdd(b, v0, b0);
    b1 = multiplyAdd(b, v1, b1);
    const c = v128.load32_splat(weights, 256);
    c0 = multiplyAdd(c, v0, c0);
    c1 = multiplyAdd(c, v1, c1);
    const d = v128.load32_splat(weights, 384);
    d0 = multiplyAdd(d, v0, d0);
    d1 = multiplyAdd(d, v1, d1);
    value += 64;
  }
  v128.store(sums, a0);
  v128.store(sums, a1, 16);
  v128.store(second, b0);
  v128.store(second, b1, 16);
  v128.store(third, c0);
  v128.store(third, c1, 16);
  v128.store(fourth, d0);
  v128.store(fourth, d1, 16);
}

function add3(weights: usize, factors: usize, tokens: i32, value: usize, rowBytes: usize, sums: usize): void {
  const second = sums + rowBytes;
  const third = second + rowBytes;
  let x = v128.load32_splat(factors);
  let a0 = f32x4.mul(v128.load(sums), x);
  let a1 = f32x4.mul(v128.load(sums, 16), x);
  let a2 = f32x4.mul(v128.load(sums, 32), x);
  let a3 = f32x4.mul(v128.load(sums, 48), x);
  x = v128.load32_splat(factors, 4);
  let b0 = f32x4.mul(v128.load(second), x);
  let b1 = f32x4.mul(v128.load(second, 16), x);
  let b2 = f32x4.mul(v128.load(second, 32), x);
  let b3 = f32x4.mul(v128.load(second, 48), x);
  x = v128.load32_splat(factors, 8);
  let c0 = f32x4.mul(v128.load(third), x);
  let c1 = f32x4.mul(v128.load(third, 16), x);
  let c2 = f32x4.mul(v128.load(third, 32), x);
  let c3 = f32x4.mul(v128.load(third, 48), x);
  for (const end = weights + (<usize>tokens << 2); weights < end; weights += 4) {
    let v = v128.load(value);
    let w = v128.load(value, 16);
    x = v128.load32_splat(weights);
    a0 = multiplyAdd(x, v, a0);
    a1 = multiplyAdd(x, w, a1);
    x = v128.load32_splat(weights, 128);
    b0 = multiplyAdd(x, v, b0);
    b1 = multiplyAdd(x, w, b1);
    x = v128.load32_splat(weights, 256);
    c0 = multiplyAdd(x, v, c0);
    c1 = multiplyAdd(x, w, c1);
    v = v128.load(value, 32);
    w = v128.load(value, 48);
    c2 = multiplyAdd(x, v, c2);
    c3 = multiplyAdd(x, w, c3);
    x = v128.load32_splat(weights, 128);
    b2 = multiplyAdd(x, v, b2);
    b3 = multiplyAdd(x, w, b3);
    x = v128.load32_splat(weights);
    a2 = multiplyAdd(x, v, a2);
    a3 = multiplyAdd(x, w, a3);
    value += 64;
  }
  store4(sums, a0, a1, a2, a3);
  store4(second, b0, b1, b2, b3);
  store4(third, c0, c1, c2, c3);
}

function add2(weights: usize, factors: usize, tokens: i32, value: usize, rowBytes: usize, sums: usize): void {
  const second = sums + rowBytes;
  let x = v128.load32_splat(factors);
  let a0 = f32x4.mul(v128.load(sums), x);
  let a1 = f32x4.mul(v128.load(sums, 16), x);
  let a2 = f32x4.mul(v128.load(sums, 32), x);
  let a3 = f32x4.mul(v128.load(sums, 48), x);
  let y = v128.load32_splat(factors, 4);
  let b0 = f32x4.mul(v128.load(second), y);
  let b1 = f32x4.mul(v128.load(second, 16), y);
  let b2 = f32x4.mul(v128.load(second, 32), y);
  let b3 = f32x4.mul(v128.load(second, 48), y);
  for (const end = weights + (<usize>tokens << 2); weights < end; weights += 4) {
    x = v128.load32_splat(weights);
    y = v128.load32_splat(weights, 128);
    let v = v128.load(value);
    a0 = multiplyAdd(x, v, a0);
    b0 = multiplyAdd(y, v, b0);
    v = v128.load(value, 16);
    a1 = multiplyAdd(x, v, a1);
    b1 = multiplyAdd(y, v, b1);
    v = v128.load(value, 32);
    a2 = multiplyAdd(x, v, a2);
    b2 = multiplyAdd(y, v, b2);
    v = v128.load(value, 48);
    a3 = multiplyAdd(x, v, a3);
    b3 = multiplyAdd(y, v, b3);
    value += 64;
  }
  store4(sums, a0, a1, a2, a3);
  store4(second, b0, b1, b2, b3);
}

function add1(weights: usize, factors: usize, tokens: i32, value: usize, sums: usize): void {
  const factor = v128.load32_splat(factors);
  let a0 = f32x4.mul(v128.load(sums), factor);
  let a1 = f32x4.mul(v128.load(sums, 16), factor);
  let a2 = f32x4.mul(v128.load(sums, 32), factor);
  let a3 = f32x4.mul(v128.load(sums, 48), factor);
  for (const end = weights + (<usize>tokens << 2); weights < end; weights += 4) {
    const x = v128.load32_splat(weights);
    a0 = multiplyAdd(x, v128.load(value), a0);
    a1 = multiplyAdd(x, v128.load(value, 16), a1);
    a2 = multiplyAdd(x, v128.load(value, 32), a2);
    a3 = multiplyAdd(x, v128.load(value, 48), a3);
    value += 64;
  }
  store4(sums, a0, a1, a2, a3);
}

/** What is left of a width that is no multiple of 16. */
function addVector(weights: usize, factors: usize, tokens: i32, value: usize, rowBytes: usize, sums: usize): void {
  let a = f32x4.mul(v128.load(sums), v128.load32_splat(factors));
  for (const end = weights + (<usize>tokens << 2); weights < end; weights += 4) {
    a = multiplyAdd(v128.load32_splat(weights), v128.load(value), a);
    value += rowBytes;
  }
  v128.store(sums, a);
}

@inline
function store4(to: usize, a: v128, b: v128, c: v128, d: v128): void {
  v128.store(to, a);
  v128.store(to, b, 16);
  v128.store(to, c, 32);
  v128.store(to, d, 48);
}

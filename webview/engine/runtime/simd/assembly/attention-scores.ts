/** Scores of up to 4 queries with the 32 keys of a page: keys are columns, so that no sum is horizontal. */
import { multiplyAdd } from './vector';

/**
 * `keys` [2][headDim][16], of which the first `tokens` count; `queries` [headDim][4]; `to` [4][32], where only the half
 * of a token that counts is written. A score is the same sum in the same order whatever `count` is. At most 15 vectors are live at once, the registers that V8 has on x86; what does not fit is loaded again.
 * Loops that do two dimensions at a time take 1.6 times as long in V8.
 */
export function scores(count: i32, tokens: i32, keys: usize, queries: usize, headDim: i32, to: usize): void {
  for (let first = 0; first < tokens; first += 16, to += 64) {
    if (count == 4) {
      scores4(keys, queries, headDim, to);
      scores4(keys + 32, queries, headDim, to + 32);
    } else if (count == 3) {
      scores3(keys, queries, headDim, to);
    } else if (count == 2) {
      scores2(keys, queries, headDim, to);
    } else {
      scores1(keys, queries, headDim, to);
    }
    keys += <usize>headDim << 6;
  }
}

/** With 8 keys; the others with 16. */
function scores4(key: usize, q: usize, headDim: i32, to: usize): void {
  let a0 = f32x4.splat(0);
  let a1 = a0;
  let b0 = a0;
  let b1 = a0;
  let c0 = a0;
  let c1 = a0;
  let d0 = a0;
  let d1 = a0;
  for (const end = q + (<usize>headDim << 4); q < end; q += 16) {
    const k0 = v128.load(key);
    const k1 = v128.load(key, 16);
    const a = v128.load32_splat(q);
    a0 = multiplyAdd(a, k0, a0);
    a1 = multiplyAdd(a, k1, a1);
    const b = v128.load32_splat(q, 4);
    b0 = multiplyAdd(b, k0, b0);
    b1 = multiplyAdd(b, k1, b1);
    const c = v128.load32_splat(q, 8);
    c0 = multiplyAdd(c, k0, c0);
    c1 = multiplyAdd(c, k1, c1);
    const d = v128.load32_splat(q, 12);
    d0 = multiplyAdd(d, k0, d0);
    d1 = multiplyAdd(d, k1, d1);
    key += 64;
  }
  v128.store(to, a0);
  v128.store(to, a1, 16);
  v128.store(to, b0, 128);
  v128.store(to, b1, 144);
  v128.store(to, c0, 256);
  v128.store(to, c1, 272);
  v128.store(to, d0, 384);
  v128.store(to, d1, 400);
}

function scores3(key: usize, q: usize, headDim: i32, to: usize): void {
  let a0 = f32x4.splat(0);
  let a1 = a0;
  let a2 = a0;
  let a3 = a0;
  let b0 = a0;
  let b1 = a0;
  let b2 = a0;
  let b3 = a0;
  let c0 = a0;
  let c1 = a0;
  let c2 = a0;
  let c3 = a0;
  for (const end = q + (<usize>headDim << 4); q < end; q += 16) {
    let k = v128.load(key);
    let l = v128.load(key, 16);
    let x = v128.load32_splat(q);
    a0 = multiplyAdd(x, k, a0);
    a1 = multiplyAdd(x, l, a1);
    x = v128.load32_splat(q, 4);
    b0 = multiplyAdd(x, k, b0);
    b1 = multiplyAdd(x, l, b1);
    x = v128.load32_splat(q, 8);
    c0 = multiplyAdd(x, k, c0);
    c1 = multiplyAdd(x, l, c1);
    k = v128.load(key, 32);
    l = v128.load(key, 48);
    c2 = multiplyAdd(x, k, c2);
    c3 = multiplyAdd(x, l, c3);
    x = v128.load32_splat(q, 4);
    b2 = multiplyAdd(x, k, b2);
    b3 = multiplyAdd(x, l, b3);
    x = v128.load32_splat(q);
    a2 = multiplyAdd(x, k, a2);
    a3 = multiplyAdd(x, l, a3);
    key += 64;
  }
  store4(to, a0, a1, a2, a3);
  store4(to + 128, b0, b1, b2, b3);
  store4(to + 256, c0, c1, c2, c3);
}

function scores2(key: usize, q: usize, headDim: i32, to: usize): void {
  let a0 = f32x4.splat(0);
  let a1 = a0;
  let a2 = a0;
  let a3 = a0;
  let b0 = a0;
  let b1 = a0;
  let b2 = a0;
  let b3 = a0;
  for (const end = q + (<usize>headDim << 4); q < end; q += 16) {
    const x = v128.load32_splat(q);
    const y = v128.load32_splat(q, 4);
    let k = v128.load(key);
    a0 = multiplyAdd(x, k, a0);
    b0 = multiplyAdd(y, k, b0);
    k = v128.load(key, 16);
    a1 = multiplyAdd(x, k, a1);
    b1 = multiplyAdd(y, k, b1);
    k = v128.load(key, 32);
    a2 = multiplyAdd(x, k, a2);
    b2 = multiplyAdd(y, k, b2);
    k = v128.load(key, 48);
    a3 = multiplyAdd(x, k, a3);
    b3 = multiplyAdd(y, k, b3);
    key += 64;
  }
  store4(to, a0, a1, a2, a3);
  store4(to + 128, b0, b1, b2, b3);
}

function scores1(key: usize, q: usize, headDim: i32, to: usize): void {
  let a0 = f32x4.splat(0);
  let a1 = a0;
  let a2 = a0;
  let a3 = a0;
  for (const end = q + (<usize>headDim << 4); q < end; q += 16) {
    const x = v128.load32_splat(q);
    a0 = multiplyAdd(x, v128.load(key), a0);
    a1 = multiplyAdd(x, v128.load(key, 16), a1);
    a2 = multiplyAdd(x, v128.load(key, 32), a2);
    a3 = multiplyAdd(x, v128.load(key, 48), a3);
    key += 64;
  }
  store4(to, a0, a1, a2, a3);
}

@inline
function store4(to: usize, a: v128, b: v128, c: v128, d: v128): void {
  v128.store(to, a);
  v128.store(to, b, 16);
  v128.store(to, c, 32);
  v128.store(to, d, 48);
}

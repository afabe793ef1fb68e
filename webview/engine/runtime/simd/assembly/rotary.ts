/** Rotary position embedding (https://arxiv.org/abs/2104.09864) in place, with the angles of tables. */
import { storeLanes } from './vector';
import { endOf, firstOf } from './threads';

@unmanaged
class RotaryWords {
  opcode: i32;
  words: i32;
  at: usize;
  stride: i32;
  heads: i32;
  headDim: i32;
  rotaryDim: i32;
  isInterleaved: i32;
  cos: usize;
  sin: usize;
}

/** `words`: docs/simd-runtime.md, opcode 4; `positions` int32 [rows], a row of the tables each. */
export function rotary(words: usize, rows: i32, positions: usize): void {
  const step = changetype<RotaryWords>(words);
  const half = step.rotaryDim >> 1;
  for (let row = firstOf(rows), end = endOf(rows); row < end; row++) {
    const angles = (<usize>load<i32>(positions + (<usize>row << 2)) * half) << 2;
    let at = step.at + ((<usize>row * step.stride) << 2);
    for (let head = 0; head < step.heads; head++) {
      if (step.isInterleaved) rotateNeighbours(at, half, step.cos + angles, step.sin + angles);
      else rotateHalves(at, half, step.cos + angles, step.sin + angles);
      at += <usize>step.headDim << 2;
    }
  }
}

function rotateHalves(first: usize, half: i32, cos: usize, sin: usize): void {
  const second = first + (<usize>half << 2);
  for (let i = 0; i < half; i += 4) {
    const at = <usize>i << 2;
    const a = v128.load(first + at);
    const b = v128.load(second + at);
    const c = v128.load(cos + at);
    const s = v128.load(sin + at);
    storeLanes(first + at, f32x4.sub(f32x4.mul(a, c), f32x4.mul(b, s)), half - i);
    storeLanes(second + at, f32x4.add(f32x4.mul(b, c), f32x4.mul(a, s)), half - i);
  }
}

function rotateNeighbours(at: usize, half: i32, cos: usize, sin: usize): void {
  for (let i = 0; i < half; i += 4) {
    const low = v128.load(at);
    const high = v128.load(at, 16);
    const a = i32x4.shuffle(low, high, 0, 2, 4, 6);
    const b = i32x4.shuffle(low, high, 1, 3, 5, 7);
    const c = v128.load(cos + (<usize>i << 2));
    const s = v128.load(sin + (<usize>i << 2));
    const x = f32x4.sub(f32x4.mul(a, c), f32x4.mul(b, s));
    const y = f32x4.add(f32x4.mul(b, c), f32x4.mul(a, s));
    const left = (half - i) << 1;
    storeLanes(at, i32x4.shuffle(x, y, 0, 4, 1, 5), left);
    if (left > 4) storeLanes(at + 16, i32x4.shuffle(x, y, 2, 6, 3, 7), left - 4);
    at += 32;
  }
}

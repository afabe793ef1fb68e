/** Keys and values in pages of 32 tokens, as docs/simd-runtime.md lays them out. */
import { AttentionWords, paddedDim } from './attention-words';
import { expandHalves, floatsToHalves } from './half';
import { Segment } from './machine-state';
import { endOf, firstOf } from './threads';
import { storeLanes } from './vector';

export const pageTokens: i32 = 32;

/** Of one layer and head in a page, in numbers: keys [2][headDim][16]. */
@inline
export function keyOffset(step: AttentionWords, kvHead: i32): usize {
  const layer = step.layer * step.kvHeads * (step.headDim + paddedDim(step.headDim));
  return <usize>(layer + kvHead * step.headDim) * pageTokens;
}

/** Values [paddedDim / 16][32][16], the last block as wide as what is left. */
@inline
export function valueOffset(step: AttentionWords, kvHead: i32): usize {
  const padded = paddedDim(step.headDim);
  const layer = step.layer * step.kvHeads * (step.headDim + padded);
  return <usize>(layer + step.kvHeads * step.headDim + kvHead * padded) * pageTokens;
}

/** Writes the keys and values of the segment's rows behind those that the cache holds. */
export function appendRows(step: AttentionWords, segment: Segment, numberBytes: i32): void {
  for (let row = firstOf(segment.rows), end = endOf(segment.rows); row < end; row++) {
    const position = segment.past + row;
    const page = load<usize>(segment.pages + (<usize>(position >> 5) << 2));
    const slot = position & 31;
    const key = step.key + ((<usize>(segment.firstRow + row) * step.keyStride) << 2);
    const value = step.value + ((<usize>(segment.firstRow + row) * step.valueStride) << 2);
    for (let head = 0; head < step.kvHeads; head++) {
      const from = (<usize>head * step.headDim) << 2;
      const keys = page + keyOffset(step, head) * numberBytes;
      const values = page + valueOffset(step, head) * numberBytes;
      if (numberBytes == 4) appendFloats(key + from, value + from, step.headDim, slot, keys, values);
      else appendHalves(key + from, value + from, step.headDim, slot, keys, values);
    }
  }
}

/** Of a key, in numbers. */
@inline
function keySlot(slot: i32, headDim: i32): usize {
  return <usize>((slot >> 4) * headDim * 16 + (slot & 15));
}

/** Of a value from dimension `dim` on, a multiple of 4, in numbers. */
@inline
function valueSlot(slot: i32, dim: i32, padded: i32): usize {
  const first = dim & ~15;
  return <usize>(first * pageTokens + slot * min(16, padded - first) + dim - first);
}

function appendFloats(key: usize, value: usize, headDim: i32, slot: i32, keys: usize, values: usize): void {
  keys += keySlot(slot, headDim) << 2;
  for (let dim = 0; dim < headDim; dim++) {
    store<f32>(keys, load<f32>(key + (<usize>dim << 2)));
    keys += 64;
  }
  const padded = paddedDim(headDim);
  for (let dim = 0; dim < headDim; dim += 4) {
    const to = values + (valueSlot(slot, dim, padded) << 2);
    storeLanes(to, v128.load(value + (<usize>dim << 2)), headDim - dim);
  }
}

function appendHalves(key: usize, value: usize, headDim: i32, slot: i32, keys: usize, values: usize): void {
  keys += keySlot(slot, headDim) << 1;
  for (let dim = 0; dim < headDim; dim++) {
    v128.store16_lane(keys, floatsToHalves(v128.load32_splat(key + (<usize>dim << 2))), 0);
    keys += 32;
  }
  const padded = paddedDim(headDim);
  for (let dim = 0; dim < headDim; dim += 4) {
    const halves = floatsToHalves(v128.load(value + (<usize>dim << 2)));
    const to = values + (valueSlot(slot, dim, padded) << 1);
    v128.store64_lane(to, i16x8.shuffle(halves, halves, 0, 2, 4, 6, 0, 2, 4, 6), 0);
  }
}

/** The address of a head's keys in a page as float32: `scratch` when they are float16. */
@inline
export function keysOf(step: AttentionWords, page: usize, kvHead: i32, numberBytes: i32, scratch: usize): usize {
  const at = page + keyOffset(step, kvHead) * numberBytes;
  return floatsOf(at, step.headDim * pageTokens, numberBytes, scratch);
}

@inline
export function valuesOf(step: AttentionWords, page: usize, kvHead: i32, numberBytes: i32, scratch: usize): usize {
  const at = page + valueOffset(step, kvHead) * numberBytes;
  return floatsOf(at, paddedDim(step.headDim) * pageTokens, numberBytes, scratch);
}

@inline
function floatsOf(at: usize, count: i32, numberBytes: i32, scratch: usize): usize {
  if (numberBytes == 4) return at;
  expandHalves(at, count, scratch);
  return scratch;
}

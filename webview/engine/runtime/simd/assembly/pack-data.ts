/** Weights from the order of a file to the order that the products read (docs/simd-runtime.md), a slab at a time. */
import { quadBytes } from './linear-matrix';

/** For the bytes of a slab as they come from a file, then for the scales and the offsets of its entries. */
const slab = memory.data(16_384, 16);
const entries = memory.data(16_384, 16);

export function slabAddress(): usize {
  return slab;
}

export function entriesAddress(): usize {
  return entries;
}

/** Whole blocks of 32 columns, `rowBytes` a row, two in a byte and the lower half first. `to` is a group's record. */
export function packNibbles(rowBytes: i32, rows: i32, blocks: i32, to: usize, record: i32, groupBytes: i32): void {
  const mask = i8x16.splat(15);
  for (let row = 0; row < rows; row++) {
    let at = slab + <usize>row * rowBytes;
    let out = placeOf(to, row, groupBytes);
    for (let block = 0; block < blocks; block++) {
      const pairs = v128.load(at);
      const even = v128.and(pairs, mask);
      const odd = v128.and(i16x8.shr_u(pairs, 4), mask);
      const first = v128.shuffle<u8>(even, odd, 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23);
      const last = v128.shuffle<u8>(even, odd, 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31);
      const words = v128.or(first, i16x8.shl(last, 4));
      store<i32>(out, i32x4.extract_lane(words, 0));
      store<i32>(out, i32x4.extract_lane(words, 1), 32);
      store<i32>(out, i32x4.extract_lane(words, 2), 64);
      store<i32>(out, i32x4.extract_lane(words, 3), 96);
      at += 16;
      out += record;
    }
  }
}

/** `flip` is 128 for signed numbers. `to` is the record of the group and block of the slab's first row and column. */
export function packBytes(
  rowStride: i32,
  columnStride: i32,
  rows: i32,
  columns: i32,
  first: i32,
  flip: i32,
  to: usize,
  record: i32,
  groupBytes: i32,
): void {
  for (let row = 0; row < rows; row++) {
    let at = slab + <usize>row * rowStride;
    const out = placeOf(to, row, groupBytes);
    let column = first;
    const end = first + columns;
    if (columnStride === 1) {
      for (; column + 4 <= end; column += 4, at += 4)
        store<u32>(out + placeOfByte(column, record), load<u32>(at) ^ (flip * 0x01010101));
    }
    for (; column < end; column++, at += columnStride)
      store<u8>(out + placeOfByte(column, record), load<u8>(at) ^ <u8>flip);
  }
}

/** Float32 (`type` 0) and bfloat16 (2) to float32, float16 (1) to float16. Returns 0 when a number is not finite. */
export function packFloats(
  type: i32,
  rowStride: i32,
  columnStride: i32,
  rows: i32,
  columns: i32,
  to: usize,
  groupBytes: i32,
): i32 {
  const size: usize = type === 1 ? 2 : 4;
  const exponent: u32 = type === 1 ? 0x7c00 : 0x7f800000;
  let isFinite = 1;
  for (let row = 0; row < rows; row++) {
    let at = slab + <usize>row * rowStride;
    let out = to + <usize>(row >> 3) * groupBytes + <usize>(row & 7) * size;
    for (let column = 0; column < columns; column++) {
      const bits: u32 = type === 0 ? load<u32>(at) : type === 1 ? load<u16>(at) : <u32>load<u16>(at) << 16;
      if ((bits & exponent) === exponent) isFinite = 0;
      if (type === 1) store<u16>(out, <u16>bits);
      else store<u32>(out, bits);
      at += columnStride;
      out += size << 3;
    }
  }
  return isFinite;
}

/**
 * Scales and offsets, float32 [rows][perRow] each, to entries of a format; an offset is what the format holds besides
 * the scale. `to` is the address of the first entry of the group; `perRecord` 1 or 2.
 */
export function packScales(
  rows: i32,
  perRow: i32,
  perRecord: i32,
  format: i32,
  to: usize,
  record: i32,
  groupBytes: i32,
): void {
  const quad = quadBytes(format);
  let scales = entries;
  let offsets = entries + ((<usize>rows * perRow) << 2);
  for (let row = 0; row < rows; row++) {
    const lane = <usize>(row & 3);
    let out = to + <usize>(row >> 3) * groupBytes + <usize>((row & 7) >> 2) * quad;
    for (let entry = 0; entry < perRow; entry++) {
      const at = out + (perRecord === 2 && entry & 1 ? 2 * quad : 0);
      const scale = load<f32>(scales);
      const offset = load<f32>(offsets);
      if (format === 0 || format === 2) store<f32>(at + (lane << 2), scale);
      if (format === 0) store<f32>(at + (lane << 2), offset, 16);
      if (format === 1) store<u32>(at + (lane << 2), (halfOf(scale) << 16) | brainOf(offset));
      if (format === 3) store<u16>(at + (lane << 1), <u16>halfOf(scale));
      if (format === 4) store<u32>(at + (lane << 2), (halfOf(scale) << 16) | halfOf(offset));
      if (perRecord === 1 || entry & 1) out += record;
      scales += 4;
      offsets += 4;
    }
  }
}

@inline
function placeOf(to: usize, row: i32, groupBytes: i32): usize {
  return to + <usize>(row >> 3) * groupBytes + (<usize>(row & 7) << 2);
}

@inline
function placeOfByte(column: i32, record: i32): usize {
  return <usize>(column >> 5) * record + (<usize>((column & 31) >> 2) << 5) + <usize>(column & 3);
}

/** Of a number that float16 holds exactly. */
@inline
function halfOf(value: f32): u32 {
  const bits = reinterpret<u32>(value * <f32>1.925929944387236e-34); // 2^-112
  return ((bits >> 16) & 0x8000) | ((bits >> 13) & 0x7fff);
}

/** The upper half of a float32, to nearest, ties to even. */
@inline
function brainOf(value: f32): u32 {
  const bits = reinterpret<u32>(value);
  return (bits + 0x7fff + ((bits >> 16) & 1)) >> 16;
}

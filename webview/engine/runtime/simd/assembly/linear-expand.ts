/** Packed weights as float32: panels of 8 rows, [column][8]. */
import { halvesToFloats, kindF16, kindF32, kindQ4, lowNibbles, Matrix, quadBytes } from './linear-matrix';

/** Where `columns` of the 8 rows from `row8` on are as float32: in `buffer` after expanding, or where they lie. */
export function panelOf(m: Matrix, row8: i32, first: i32, columns: i32, buffer: usize): usize {
  const record = <usize>m.recordBytes;
  const group = <usize>(row8 >> 3);
  if (m.kind === kindF32) return m.data + (group * m.columns + first) * record;
  if (m.kind === kindF16) {
    let at = m.data + (group * m.columns + first) * record;
    for (let to = buffer, end = buffer + (<usize>columns << 5); to < end; to += 32) {
      const words = v128.load(at);
      v128.store(to, halvesToFloats(i32x4.shl(i32x4.extend_low_i16x8_u(words), 16)));
      v128.store(to, halvesToFloats(i32x4.shl(i32x4.extend_high_i16x8_u(words), 16)), 16);
      at += record;
    }
    return buffer;
  }
  let at = m.data + (group * (m.columns32 >> 5) + (first >> 5)) * record;
  for (let column = 0, to = buffer; column < columns; column += 32, to += 1024) {
    if (m.kind === kindQ4) expandNibbles(m, at, to);
    else expandBytes(m, at, to);
    at += record;
  }
  return buffer;
}

function expandNibbles(m: Matrix, at: usize, to: usize): void {
  const mask = v128.load(lowNibbles);
  const next = m.scaleBlock === 16 ? 2 * quadBytes(m.scaleFormat) : 0;
  for (let quad: usize = 0; quad < 2; quad++) {
    const entry = at + 128 + quad * quadBytes(m.scaleFormat);
    for (let four: usize = 0; four < 4; four++) {
      const v = v128.load(at + (four << 5) + (quad << 4));
      const out = to + (four << 7) + (quad << 4);
      expandFour(m, entry, v128.and(v, mask), out);
      expandFour(m, entry + next, v128.and(i16x8.shr_u(v, 4), mask), out + 512);
    }
  }
}

function expandBytes(m: Matrix, at: usize, to: usize): void {
  const next = m.scaleBlock === 16 ? 2 * quadBytes(m.scaleFormat) : 0;
  for (let quad: usize = 0; quad < 2; quad++) {
    const entry = at + 256 + quad * quadBytes(m.scaleFormat);
    for (let four: usize = 0; four < 8; four++) {
      const v = v128.load(at + (four << 5) + (quad << 4));
      expandFour(m, entry + (four < 4 ? 0 : next), v, to + (four << 7) + (quad << 4));
    }
  }
}

/** 4 columns of 4 rows. (q - zero point) * scale or q * scale + minimum, whichever the file has exactly. */
@inline
function expandFour(m: Matrix, entry: usize, v: v128, to: usize): void {
  const format = m.scaleFormat;
  let scale: v128;
  let zeroPoint = f32x4.splat(m.zeroPoint);
  let minimum = f32x4.splat(0);
  if (format === 3) scale = halvesToFloats(i32x4.shl(i32x4.extend_low_i16x8_u(v128.load64_zero(entry)), 16));
  else {
    const words = v128.load(entry);
    scale = format === 1 || format === 4 ? halvesToFloats(words) : words;
    if (format === 0) minimum = v128.load(entry, 16);
    else if (format === 1) minimum = i32x4.shl(words, 16);
    else if (format === 4) zeroPoint = halvesToFloats(i32x4.shl(words, 16));
  }
  const byte = i32x4.splat(255);
  expandColumn(v128.and(v, byte), scale, zeroPoint, minimum, to);
  expandColumn(v128.and(i32x4.shr_u(v, 8), byte), scale, zeroPoint, minimum, to + 32);
  expandColumn(v128.and(i32x4.shr_u(v, 16), byte), scale, zeroPoint, minimum, to + 64);
  expandColumn(i32x4.shr_u(v, 24), scale, zeroPoint, minimum, to + 96);
}

@inline
function expandColumn(q: v128, scale: v128, zeroPoint: v128, minimum: v128, to: usize): void {
  const centred = f32x4.sub(f32x4.convert_i32x4_s(q), zeroPoint);
  v128.store(to, f32x4.add(f32x4.mul(centred, scale), minimum));
}

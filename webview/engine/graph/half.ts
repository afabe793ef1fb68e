/** IEEE 754 half precision to single precision. */

/** Bits of float16 numbers as float32; subnormals, infinities and NaN included. */
export function halfToFloat(bits: Uint16Array): Float32Array {
  const floats = new Float32Array(bits.length);
  for (let i = 0; i < bits.length; i++) {
    const half = bits[i]!;
    const exponent = (half >> 10) & 0x1f;
    const fraction = half & 0x3ff;
    const sign = half & 0x8000 ? -1 : 1;
    if (exponent === 0) floats[i] = sign * fraction * 2 ** -24;
    else if (exponent === 0x1f) floats[i] = fraction ? Number.NaN : sign * Number.POSITIVE_INFINITY;
    else floats[i] = sign * (1 + fraction / 1024) * 2 ** (exponent - 15);
  }
  return floats;
}

/** Upper halves of float32 numbers (bfloat16) as float32. */
export function brainFloatToFloat(bits: Uint16Array): Float32Array {
  const words = new Uint32Array(bits.length);
  for (let i = 0; i < bits.length; i++) words[i] = bits[i]! << 16;
  return new Float32Array(words.buffer);
}

/** The nearest float16, halves to even; beyond 65,504 infinity. */
export function roundToHalf(value: number): number {
  const size = Math.abs(value);
  if (!(size > 0 && size < Number.POSITIVE_INFINITY)) return value;
  if (size >= 65_520) return Math.sign(value) * Number.POSITIVE_INFINITY;
  const exponent = Math.max(-14, Math.floor(Math.log2(size)));
  const unit = 2 ** (exponent - 10);
  // Adding and taking away a large power of two rounds to even in float64.
  const shift = unit * 2 ** 52 * 1.5;
  return Math.sign(value) * (size + shift - shift);
}

/** The nearest bfloat16, halves to even. */
export function roundToBrainFloat(value: number): number {
  const word = new Uint32Array(Float32Array.of(value).buffer);
  if (Number.isNaN(value)) return value;
  word[0] = (word[0]! + 0x7fff + ((word[0]! >>> 16) & 1)) & 0xffff_0000;
  return new Float32Array(word.buffer)[0]!;
}

/** Bits of the nearest float16, halves to even. */
export function halfBits(value: number): number {
  const rounded = roundToHalf(value);
  const size = Math.abs(rounded);
  const sign = rounded < 0 || Object.is(rounded, -0) ? 0x8000 : 0;
  if (Number.isNaN(rounded)) return 0x7e00;
  if (size === Number.POSITIVE_INFINITY) return sign | 0x7c00;
  if (size < 2 ** -14) return sign | Math.round(size * 2 ** 24);
  const exponent = Math.floor(Math.log2(size));
  return sign | ((exponent + 15) << 10) | Math.round((size / 2 ** exponent - 1) * 1024);
}

/** Rotation of heads in place against float64. */
import { describe, expect, test } from 'vitest';
import { KernelMemory } from '../../support/kernel-memory.ts';
import { builds, openKernels } from '../../support/kernels.ts';
import { createRandom } from '../../support/random.ts';

const forms = [
  { heads: 3, headDim: 64, rotaryDim: 64 },
  { heads: 2, headDim: 16, rotaryDim: 4 },
  { heads: 5, headDim: 6, rotaryDim: 6 },
  { heads: 2, headDim: 10, rotaryDim: 10 },
  { heads: 4, headDim: 80, rotaryDim: 32 },
  { heads: 1, headDim: 7, rotaryDim: 2 },
  { heads: 3, headDim: 22, rotaryDim: 14 },
].flatMap((form) => [
  { ...form, isInterleaved: false },
  { ...form, isInterleaved: true },
]);

describe.each(builds)('%s', async (build) => {
  const kernels = await openKernels(build);

  test.each(forms)('%o', ({ heads, headDim, rotaryDim, isInterleaved }) => {
    const random = createRandom(3);
    const memory = new KernelMemory(kernels);
    const [half, stride, offset, positions] = [rotaryDim / 2, heads * headDim + 9, 3, [4, 0, 11]];
    const tables = [Math.cos, Math.sin].map((f) =>
      Float32Array.from({ length: 12 * half }, (_, i) => f(Math.floor(i / half) / 7 ** ((i % half) / half))),
    );
    const [cos, sin] = tables as [Float32Array, Float32Array];
    const before = Float32Array.from({ length: positions.length * stride }, () => random() - 0.5);
    const at = memory.floats(before);
    const words = [4, 10, at + offset * 4, stride, heads, headDim, rotaryDim, isInterleaved ? 1 : 0];
    const plan = memory.words([...words, memory.floats(cos), memory.floats(sin)]);
    kernels.exports.rotary!(plan, positions.length, memory.words(positions));

    const expected = Float64Array.from(before);
    for (const [row, position] of positions.entries())
      for (let head = 0; head < heads; head++)
        for (let i = 0; i < half; i++) {
          const first = row * stride + offset + head * headDim + (isInterleaved ? 2 * i : i);
          const second = first + (isInterleaved ? 1 : half);
          const [c, s] = [cos[position * half + i]!, sin[position * half + i]!];
          expected[first] = before[first]! * c - before[second]! * s;
          expected[second] = before[second]! * c + before[first]! * s;
        }
    for (const [i, x] of memory.read(at, before.length).entries())
      expect(Math.abs(x - expected[i]!)).toBeLessThan(2e-7);
  });
});

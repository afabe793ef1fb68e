/** Normalisation and what is fused into it, against float64. */
import { describe, expect, test } from 'vitest';
import { Float, KernelMemory } from '../../support/kernel-memory.ts';
import { builds, type Kernels, openKernels } from '../../support/kernels.ts';
import { createRandom } from '../../support/random.ts';

interface Form {
  readonly kind: 'rms' | 'layer';
  readonly groups?: number;
  readonly size: number;
  readonly hasWeight?: boolean;
  readonly hasBias?: boolean;
  readonly hasAdd?: boolean;
  readonly hasAddBias?: boolean;
  /** Where the sum goes: nowhere, to a buffer of its own, or over what is added. */
  readonly sum?: 'own' | 'add';
  readonly isInPlace?: boolean;
}

const epsilon = 1e-5;
const rows = 3;
const random = createRandom(2);

function run(kernels: Kernels, form: Form, value: () => number) {
  const { kind, groups = 1, size } = form;
  const memory = new KernelMemory(kernels);
  const width = groups * size;
  const stride = width + 5;
  const vector = (length: number, make: () => number) => Float32Array.from({ length }, make);
  const from = vector(rows * stride, value);
  const add = vector(rows * stride, value);
  const weight = vector(size, random);
  const bias = vector(size, random);
  const addBias = vector(width, value);
  const fromAt = memory.floats(from);
  const addAt = form.hasAdd ? memory.floats(add) : 0;
  const sumAt = form.sum === 'own' ? memory.floats(new Float32Array(rows * stride)) : form.sum ? addAt : 0;
  const toAt = form.isInPlace ? fromAt : memory.floats(new Float32Array(rows * stride).fill(7));
  const words = memory.words([
    ...[2, 17, kind === 'rms' ? 0 : 1, groups, size, new Float(epsilon)],
    ...[form.hasWeight ? memory.floats(weight) : 0, form.hasBias ? memory.floats(bias) : 0, fromAt, stride],
    ...[addAt, stride, form.hasAddBias ? memory.floats(addBias) : 0, sumAt, stride, toAt, stride],
  ]);
  kernels.exports.norm!(words, rows);

  const sums = Float64Array.from({ length: rows * width }, (_, i) => {
    const [at, column] = [Math.floor(i / width) * stride + (i % width), i % width];
    return from[at]! + (form.hasAdd ? add[at]! : 0) + (form.hasAddBias ? addBias[column]! : 0);
  });
  const expected = Float64Array.from(sums, (x, i) => {
    const part = sums.subarray(i - (i % size), i - (i % size) + size);
    const mean = kind === 'layer' ? part.reduce((a, b) => a + b) / size : 0;
    const spread = part.reduce((a, b) => a + (b - mean) ** 2, 0) / size;
    const y = (x - mean) / Math.sqrt(spread + Math.fround(epsilon));
    return y * (form.hasWeight ? weight[i % size]! : 1) + (form.hasBias ? bias[i % size]! : 0);
  });
  const dense = (address: number) => {
    const all = memory.read(address, rows * stride);
    return Float64Array.from(sums, (_, i) => all[Math.floor(i / width) * stride + (i % width)]!);
  };
  const gaps = memory.read(toAt, rows * stride).filter((_, i) => i % stride >= width);
  const gapsBefore = form.isInPlace ? from.filter((_, i) => i % stride >= width) : new Float32Array(rows * 5).fill(7);
  return { to: dense(toAt), expected, sum: sumAt ? dense(sumAt) : undefined, sums, gaps, gapsBefore };
}

function expectClose(actual: Float64Array, expected: Float64Array, relative: number): void {
  const scale = expected.reduce((a, b) => Math.max(a, Math.abs(b)), 1e-30);
  for (const [i, right] of expected.entries()) expect(Math.abs(actual[i]! - right) / scale).toBeLessThan(relative);
}

const forms: Form[] = [
  ...[1, 2, 3, 4, 6, 15, 16, 17, 64, 101].flatMap((size) => [
    { kind: 'rms', size, hasWeight: true } as const,
    { kind: 'layer', size, hasWeight: true, hasBias: true } as const,
  ]),
  { kind: 'rms', groups: 3, size: 10, hasWeight: true, isInPlace: true },
  { kind: 'layer', groups: 4, size: 6 },
  { kind: 'rms', size: 20, hasWeight: true, hasAdd: true },
  { kind: 'rms', size: 21, hasWeight: true, hasAdd: true, sum: 'own' },
  { kind: 'rms', size: 22, hasAdd: true, sum: 'add', isInPlace: true },
  { kind: 'layer', size: 23, hasBias: true, hasAdd: true, hasAddBias: true, sum: 'add' },
  { kind: 'layer', size: 33, hasAddBias: true, sum: 'own' },
  { kind: 'rms', size: 9, sum: 'own' },
];

describe.each(builds)('%s', async (build) => {
  const kernels = await openKernels(build);

  test.each(forms)('%o', (form) => {
    const result = run(kernels, form, () => random() * 4 - 2);
    expectClose(result.to, result.expected, form.size < 3 && form.kind === 'layer' ? 1e-4 : 2e-6);
    if (result.sum) expectClose(result.sum, result.sums, 2e-7);
    expect(result.gaps).toEqual(result.gapsBefore);
  });

  test.each(['rms', 'layer'] as const)('%s of zeros, of the largest and of the smallest numbers', (kind) => {
    const form: Form = { kind, size: 37, hasWeight: true };
    const zeros = run(kernels, form, () => 0);
    expect(zeros.to.every((y) => y === 0)).toBe(true);
    for (const size of [1e30, 1e-20]) {
      const { to, expected } = run(kernels, form, () => (random() < 0.5 ? -size : size));
      expectClose(to, expected, 2e-6);
    }
  });

  test('a layer norm does not lose what is small beside its mean', () => {
    const { to, expected } = run(kernels, { kind: 'layer', size: 64 }, () => 1000 + random());
    expectClose(to, expected, 1e-3);
  });
});

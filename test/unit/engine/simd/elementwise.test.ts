/** Activations, gated units and arithmetic against float64, with odd widths inside wider rows. */
import { describe, expect, test } from 'vitest';
import type { Activation } from '../../../../webview/engine/runtime/simd/plan.ts';
import { Float, KernelMemory } from '../../support/kernel-memory.ts';
import { builds, type Kernels, openKernels } from '../../support/kernels.ts';
import { createRandom } from '../../support/random.ts';
import { activate } from '../../support/reference-maths.ts';

const activations: readonly Activation[] = ['silu', 'gelu', 'gelu-tanh', 'gelu-quick', 'relu', 'sigmoid', 'tanh'];
const arithmetic = [
  ['add', (a: number, b: number) => a + b],
  ['subtract', (a: number, b: number) => a - b],
  ['multiply', (a: number, b: number) => a * b],
  ['divide', (a: number, b: number) => a / b],
] as const;

const random = createRandom(1);
const numbers = (count: number, size = 8) => Float32Array.from({ length: count }, () => (random() - 0.5) * size);

function unary(kernels: Kernels, name: Activation, from: Float32Array): Float32Array {
  const memory = new KernelMemory(kernels);
  const [at, to] = [memory.floats(from), memory.allocate(from.length * 4)];
  const words = [6, 8, activations.indexOf(name), from.length, at, 0, to, 0];
  kernels.exports.unary!(memory.words(words), 1);
  return memory.read(to, from.length);
}

describe.each(builds)('%s', async (build) => {
  const kernels = await openKernels(build);

  test.each(activations)('%s is right to 3e-7 of its argument from -110 to 110', (name) => {
    const from = Float32Array.from({ length: 20_003 }, (_, i) => (i - 10_001) * 0.011);
    const to = unary(kernels, name, from);
    let worst = 0;
    for (const [i, x] of from.entries())
      worst = Math.max(worst, Math.abs(to[i]! - activate(name, x)) / Math.max(1, Math.abs(x)));
    expect(worst).toBeLessThan(3e-7);
  });

  test.each(['silu', 'gelu-quick', 'sigmoid'] as const)('%s keeps its relative precision where it is small', (name) => {
    const from = Float32Array.from({ length: 4_000 }, (_, i) => -i * 0.0125);
    const to = unary(kernels, name, from);
    for (const [i, x] of from.entries()) {
      const right = activate(name, x);
      expect(Math.abs(to[i]! - right)).toBeLessThanOrEqual(Math.abs(right) * (3e-7 + Math.abs(x) * 1.2e-7));
    }
  });

  test('erf is right to 2e-7, and a gelu far out is its argument or 0', () => {
    // gelu(x) = x / 2 * (1 + erf(x / sqrt(2))), rounded twice more than erf
    const from = Float32Array.from({ length: 8_001 }, (_, i) => (i - 4_000) * 0.002);
    const to = unary(kernels, 'gelu', from);
    let worst = 0;
    for (const [i, x] of from.entries())
      if (x) worst = Math.max(worst, Math.abs((to[i]! - activate('gelu', x)) / (x / 2)));
    expect(worst).toBeLessThan(3.5e-7);
    expect([...unary(kernels, 'gelu', Float32Array.of(8, -8, 1e30, -1e30))]).toEqual([8, -0, Math.fround(1e30), -0]);
  });

  test.each<[Activation, number[]]>([
    ['silu', [0, Math.fround(1e30), -0, Number.POSITIVE_INFINITY]],
    ['gelu-tanh', [0, Math.fround(1e30), -0, Number.POSITIVE_INFINITY]],
    ['gelu-quick', [0, Math.fround(1e30), -0, Number.POSITIVE_INFINITY]],
    ['relu', [0, Math.fround(1e30), 0, Number.POSITIVE_INFINITY]],
    ['sigmoid', [0.5, 1, 0, 1]],
    ['tanh', [0, 1, -1, 1]],
  ])('%s at 0, 1e30, -1e30 and infinity', (name, expected) => {
    const from = Float32Array.of(0, 1e30, -1e30, Number.POSITIVE_INFINITY, Number.NaN);
    expect([...unary(kernels, name, from)]).toEqual([...expected, Number.NaN]);
  });

  test('sigmoid and tanh at -infinity', () => {
    const from = Float32Array.of(Number.NEGATIVE_INFINITY);
    expect([...unary(kernels, 'sigmoid', from), ...unary(kernels, 'tanh', from)]).toEqual([0, -1]);
  });

  test.each([1, 2, 3, 4, 5, 7, 10, 64, 67])('a width of %i writes no neighbour', (width) => {
    const [rows, stride, offset] = [3, 80, 6];
    const [gate, up] = [numbers(rows * stride), numbers(rows * stride)];
    for (const [name, index] of activations.map((one, i) => [one, i] as const)) {
      const memory = new KernelMemory(kernels);
      const at = memory.floats(gate) + offset * 4;
      const words = [7, 10, index, width, at, stride, memory.floats(up) + offset * 4, stride, at, stride];
      kernels.exports.glu!(memory.words(words), rows);
      const to = memory.read(at - offset * 4, rows * stride);
      for (const [i, before] of gate.entries()) {
        const column = (i % stride) - offset;
        if (column < 0 || column >= width) expect(to[i]).toBe(before);
        else expect(to[i]).toBeCloseTo(activate(name, before) * up[i]!, 5);
      }
    }
  });

  test.each(arithmetic.map(([name, compute], index) => ({ name, compute, index })))('$name', ({ compute, index }) => {
    const [rows, width, stride] = [3, 11, 16];
    const [left, right] = [numbers(rows * stride), numbers(rows * stride)];
    const operands: [(memory: KernelMemory) => [number | Float, number], (i: number) => number][] = [
      [(memory) => [memory.floats(right), stride], (i) => right[i]!],
      [(memory) => [memory.floats(right.subarray(0, width)), 0], (i) => right[i % stride]!],
      [() => [new Float(0.7), 0], () => Math.fround(0.7)],
    ];
    for (const [kind, [write, read]] of operands.entries()) {
      const memory = new KernelMemory(kernels);
      const to = memory.floats(new Float32Array(rows * stride));
      const words = [8, 11, index, kind, width, memory.floats(left), stride, ...write(memory), to, stride];
      kernels.exports.binary!(memory.words(words), rows);
      const expected = left.map((x, i) => (i % stride < width ? compute(x, read(i)) : 0));
      expect(memory.read(to, rows * stride)).toEqual(expected);
    }
  });
});

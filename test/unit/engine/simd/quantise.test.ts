import { describe, expect, it } from 'vitest';
import type { Machine } from '../../../../webview/engine/runtime/simd/machine.ts';
import { builds } from '../../support/kernels.ts';
import { openMachine } from '../../support/packed-matrix.ts';
import { createRandom } from '../../support/random.ts';

const recordBytes = 64;

interface Block {
  /** 32 numbers. */
  readonly q: Int8Array;
  /** [first half, last half] */
  readonly scales: readonly number[];
  /** scale * sum(q): [first half, last half, both] */
  readonly sums: readonly number[];
}

/** [row][block]; what lies between the rows is not a number. */
function quantise(machine: Machine, rows: readonly Float32Array[]): Block[][] {
  const columns = rows[0]!.length;
  const stride = columns + 5;
  const from = machine.allocate(4 * stride * rows.length);
  machine.floats(from, stride * rows.length).fill(Number.NaN);
  for (const [i, row] of rows.entries()) machine.floats(from + 4 * stride * i, columns).set(row);
  const size = machine.exports.quantisedBytes(rows.length, columns);
  const to = machine.allocate(size);
  machine.exports.quantiseRows!(from, stride, rows.length, columns, to);
  return rows.map((_, row) =>
    Array.from({ length: Math.ceil(columns / 32) }, (_, block) => {
      const record = machine.bytes(to + (block * rows.length + row) * recordBytes, recordBytes).slice();
      const floats = new Float32Array(record.buffer);
      const bytes = new Int8Array(record.buffer);
      const q = Int8Array.from({ length: 32 }, (_, i) => bytes[(i >> 4) * 32 + (i & 15)]!);
      return { q, scales: [floats[4]!, floats[12]!], sums: [floats[5]!, floats[13]!, floats[6]!] };
    }),
  );
}

const random = createRandom(1);
const row = (columns: number, value: (i: number) => number) =>
  Float32Array.from({ length: columns }, (_, i) => value(i));

describe.each(builds)('activations to int8, %s build', (build) => {
  it.each([
    ['random numbers', row(96, () => random() - 0.5)],
    ['a tail', row(77, () => random() * 100)],
    ['one column', row(1, () => -3)],
    ['the largest floats', row(32, (i) => (i % 2 ? -3e38 : 3e38))],
    ['the smallest floats', row(64, (i) => (i % 2 ? -1e-34 : 3e-35))],
    ['one large number', row(32, (i) => (i === 31 ? 1e6 : 1))],
    ['the largest number is negative', row(32, (i) => -i)],
  ])('%s: within half a step, and the sums are those of the rounded', async (_, values) => {
    const [blocks] = quantise(await openMachine(build), [values]);
    for (const [index, { q, scales, sums }] of blocks!.entries()) {
      const block = values.subarray(32 * index, 32 * index + 32);
      const most = block.reduce((peak, x) => Math.max(peak, Math.abs(x)), 0);
      expect(scales).toEqual([Math.fround(most / 127), Math.fround(most / 127)]);
      const scale = scales[0]!;
      for (const [i, number] of q.entries())
        expect(Math.abs(number * scale - (block[i] ?? 0))).toBeLessThanOrEqual(0.500001 * scale);
      const sum = (from: number, to: number) => q.subarray(from, to).reduce((a, b) => a + b, 0);
      expect(sums).toEqual([sum(0, 16), sum(16, 32), sum(0, 32)].map((total) => Math.fround(scale * total)));
      expect(Math.max(...q.map(Math.abs))).toBe(127);
    }
  });

  it('makes zeros of zeros and of what has no reciprocal', async () => {
    for (const value of [0, -0, 1e-40]) {
      const [[block] = []] = quantise(await openMachine(build), [row(32, () => value)]);
      expect(block).toEqual({ q: new Int8Array(32), scales: [0, 0], sums: [0, 0, 0] });
    }
  });

  it('lets an infinite number be seen in the result', async () => {
    const [[block] = []] = quantise(await openMachine(build), [
      row(32, (i) => (i === 3 ? Number.POSITIVE_INFINITY : 1)),
    ]);
    expect(block!.scales.every(Number.isFinite)).toBe(false);
  });

  it('gives a row the same record whatever other rows there are', async () => {
    const machine = await openMachine(build);
    const rows = Array.from({ length: 7 }, () => row(100, () => random() - 0.5));
    const alone = rows.map((one) => quantise(machine, [one])[0]);
    expect(quantise(machine, rows)).toEqual(alone);
  });
});

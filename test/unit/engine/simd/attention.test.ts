/** Attention over paged caches: against float64, and the same bits however a text is cut and whatever runs beside it. */
import { describe, expect, test } from 'vitest';
import { halfToFloat } from '../../../../webview/engine/graph/half.ts';
import {
  type AttentionForm,
  AttentionHarness,
  attendExactly,
  createSequence,
  roundToHalf,
  type Sequence,
} from '../../support/attention-harness.ts';
import { builds, openKernels } from '../../support/kernels.ts';

const base = { heads: 4, kvHeads: 2, headDim: 16 };

/** Heads per kv head of 1 to 7, head sizes with every tail, and what else an attention step may have. */
const forms: AttentionForm[] = [
  { heads: 1, kvHeads: 1, headDim: 6 },
  { heads: 9, kvHeads: 3, headDim: 64 },
  { heads: 7, kvHeads: 1, headDim: 10 },
  { heads: 2, kvHeads: 2, headDim: 80 },
  { heads: 4, kvHeads: 2, headDim: 36 },
  { heads: 6, kvHeads: 2, headDim: 22 },
  { heads: 5, kvHeads: 1, headDim: 3 },
  { heads: 4, kvHeads: 1, headDim: 256 },
  { ...base, layers: 3, layer: 1, scale: 0.7 },
  { ...base, softcap: 1.5 },
  { ...base, window: 1 },
  { ...base, window: 7 },
  { ...base, window: 40 },
  { ...base, sinks: [0, 3, -50, 40] },
  { ...base, sinks: [0, 1, 2, 3], window: 33, softcap: 5 },
  { ...base, layers: 2, layer: 1, gates: [1, 1, 1, 1, 0, 1, -0.5, 2] },
];

/** [tokens in the cache, new rows] */
const lengths = [
  [0, 1],
  [0, 9],
  [1, 2],
  [31, 1],
  [31, 3],
  [32, 1],
  [33, 8],
  [64, 4],
  [100, 9],
] as const;

function expectClose(actual: Float32Array, expected: Float64Array, tolerance: number): void {
  for (const [i, right] of expected.entries()) expect(Math.abs(actual[i]! - right)).toBeLessThan(tolerance);
}

const withoutNegativeZeros = (row: Float32Array) => row.map((x) => x + 0);

describe.each(builds)('%s', async (build) => {
  const kernels = await openKernels(build);

  test.each(forms)('%o', (form) => {
    for (const [past, rows] of lengths) {
      const harness = new AttentionHarness(kernels, form);
      const sequence = createSequence(form, past + rows, 4);
      const cache = harness.createCache(sequence);
      if (past > 0) harness.run([[cache, past]]);
      for (const [row, out] of harness.run([[cache, rows]]).entries())
        expectClose(out, attendExactly(form, sequence, past + row), 3e-6);
      expect(new Set(harness.gaps(rows))).toEqual(new Set([9]));
    }
  });

  test.each(forms.flatMap((form) => [form, { ...form, numberBytes: 2 } as const]))('bits of %o in any cut', (form) => {
    const sequence = createSequence(form, 110, 5);
    const inChunks = (sizes: number[]) => {
      const harness = new AttentionHarness(kernels, form);
      const cache = harness.createCache(sequence);
      const rows: Float32Array[] = [];
      for (let run = 0; rows.length < 110; run++) {
        const count = Math.min(sizes[run % sizes.length]!, 110 - rows.length);
        rows.push(...harness.run([[cache, count]]).map(withoutNegativeZeros));
      }
      return rows;
    };
    const whole = inChunks([110]);
    for (const sizes of [[1], [32], [2, 3, 1, 5], [31, 2], [40, 1, 1]]) expect(inChunks(sizes)).toEqual(whole);
  });

  test('sequences side by side have the bits that each has alone', () => {
    const form: AttentionForm = { heads: 6, kvHeads: 2, headDim: 20, window: 50 };
    const sequences = [40, 7, 100].map((length, i) => createSequence(form, length, 10 + i));
    const alone = sequences.map((sequence) => {
      const harness = new AttentionHarness(kernels, form);
      return harness.run([[harness.createCache(sequence), sequence.key.length]]);
    });
    const harness = new AttentionHarness(kernels, form);
    const caches = sequences.map((sequence) => harness.createCache(sequence));
    const [one, two, three] = caches as [(typeof caches)[0], (typeof caches)[0], (typeof caches)[0]];
    const first = harness.run([
      [one, 33],
      [two, 1],
      [three, 99],
    ]);
    const second = harness.run([
      [three, 1],
      [one, 7],
      [two, 6],
    ]);
    expect(first.slice(0, 33)).toEqual(alone[0]!.slice(0, 33));
    expect(first[33]).toEqual(alone[1]![0]);
    expect(first.slice(34)).toEqual(alone[2]!.slice(0, 99));
    expect(second[0]).toEqual(alone[2]![99]);
    expect(second.slice(1, 8)).toEqual(alone[0]!.slice(33));
    expect(second.slice(8)).toEqual(alone[1]!.slice(1));
  });

  test.each(forms)('float16 pages of %o: the numbers of rounded keys and values', (form) => {
    const sequence = createSequence(form, 70, 6);
    const harness = new AttentionHarness(kernels, { ...form, numberBytes: 2 });
    const rounded: Sequence = {
      query: sequence.query,
      key: sequence.key.map((row) => row.map(roundToHalf)),
      value: sequence.value.map((row) => row.map(roundToHalf)),
    };
    for (const [row, out] of harness.run([[harness.createCache(sequence), 70]]).entries())
      expectClose(out, attendExactly(form, rounded, row), 3e-6);
  });

  test('float16 is rounded to nearest, ties to even, subnormals included; too large stays finite', () => {
    const form = { heads: 1, kvHeads: 1, headDim: 64, numberBytes: 2 } as const;
    const unit = 2 ** -24;
    const numbers = [
      0,
      -0,
      1,
      -1,
      1 + 2 ** -11,
      1 + 3 * 2 ** -11,
      1 + 2 ** -11 + 2 ** -20,
      65_504,
      65_519,
      65_520,
      1e30,
    ]
      .concat([
        unit,
        unit / 2,
        unit * 0.51,
        unit * 1.5,
        -unit * 2.5,
        2 ** -14,
        2 ** -14 - unit / 2,
        2 ** -14 - unit,
        1e-40,
      ])
      .concat(Array.from({ length: 44 }, (_, i) => (i % 2 ? -1 : 1) * 1.37 ** i * 1e-6));
    const row = Float32Array.from(numbers);
    const harness = new AttentionHarness(kernels, form);
    const cache = harness.createCache({ query: [new Float32Array(64)], key: [row], value: [row] });
    const [out] = harness.run([[cache, 1]]);
    const expected = row.map(roundToHalf);
    const [page] = cache.pages;
    const keys = halfToFloat(harness.memory.halves(page!, 64 * 32)).filter((_, i) => i % 16 === 0 && i < 64 * 16);
    expect(keys).toEqual(expected);
    const values = halfToFloat(harness.memory.halves(page! + 64 * 32 * 2, 64 * 32)).filter((_, i) => i % 512 < 16);
    expect(values).toEqual(expected);
    expect(withoutNegativeZeros(out!)).toEqual(withoutNegativeZeros(expected)); // one key: its value
  });

  test('keys and values lie where README.md says', () => {
    const form = { heads: 2, kvHeads: 2, headDim: 22, layers: 3, layer: 2 };
    const sequence = createSequence(form, 35, 7);
    const harness = new AttentionHarness(kernels, form);
    const cache = harness.createCache(sequence);
    harness.run([[cache, 35]]);
    for (const token of [0, 15, 16, 31, 32, 34]) {
      const slot = token % 32;
      const at = cache.pages[token >> 5]! + 2 * 2 * 32 * (22 + 24) * 4;
      for (let head = 0; head < 2; head++) {
        const keys = at + head * 22 * 32 * 4 + (slot < 16 ? 0 : 22 * 16 * 4);
        const values = at + 2 * 22 * 32 * 4 + head * 24 * 32 * 4;
        for (let dim = 0; dim < 22; dim++) {
          expect(harness.memory.read(keys + (dim * 16 + (slot % 16)) * 4, 1)[0]).toBe(
            sequence.key[token]![head * 22 + dim],
          );
          const value = values + (dim < 16 ? slot * 16 + dim : 16 * 32 + slot * 8 + dim - 16) * 4;
          expect(harness.memory.read(value, 1)[0]).toBe(sequence.value[token]![head * 22 + dim]);
        }
      }
    }
  });

  test('values of 1e30 come through, and scores that differ by thousands weigh 0 or 1', () => {
    const sequence = createSequence(base, 50, 8);
    const large: Sequence = {
      query: sequence.query.map((row) => row.map((x) => x * 1e3)),
      key: sequence.key.map((row) => row.map((x) => x * 1e3)),
      value: sequence.value.map((row) => row.map((x) => (x < 0 ? -1e30 : 1e30))),
    };
    const harness = new AttentionHarness(kernels, base);
    for (const [row, out] of harness.run([[harness.createCache(large), 50]]).entries())
      expectClose(out, attendExactly(base, large, row), 1e25);
  });

  test('equal keys weigh the same; what is masked weighs exactly 0', () => {
    const form: AttentionForm = { ...base, window: 4 };
    const sequence = createSequence(form, 64, 9);
    const key = sequence.key.map((row) => row.fill(0));
    const value = sequence.value.map((row, token) => row.fill(token < 60 ? 1e30 : 1));
    const harness = new AttentionHarness(kernels, form);
    const out = harness.run([[harness.createCache({ ...sequence, key, value }), 64]]);
    expect(new Set(out[63])).toEqual(new Set([1]));
  });

  test('taps are what attention was given and what it gave, and change nothing', () => {
    const form: AttentionForm = { ...base, layers: 2, layer: 1, gates: [0, 0, 0, 0, 1, 2, 3, 0.5] };
    const sequence = createSequence(form, 40, 11);
    const on = new AttentionHarness(kernels, form, true);
    const out = on.run([[on.createCache(sequence), 40]]);
    const [query, output, residual] = on.taps(40);
    expect(query).toEqual(sequence.query);
    expect(output).toEqual(out);
    expect(residual).toEqual(sequence.query.map((row) => row.slice(0, 3)));
    const untapped = new AttentionHarness(kernels, form);
    expect(untapped.run([[untapped.createCache(sequence), 40]])).toEqual(out);
  });
});

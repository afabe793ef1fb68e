/** Causal tests against the same change in float64, by exact identities, and with what cannot be. */
import * as v from 'valibot';
import { describe, expect, test, vi } from 'vitest';
import { compileKernels } from '../../../../../scripts/kernels.mjs';
import {
  type CausalOperation,
  causalRecordSchema,
  type EffectMeasure,
  headRankingSchema,
} from '../../../../../src/shared/causal-contract.ts';
import type { EdgeCut, HeadPatch } from '../../../../../webview/engine/decoder.ts';
import {
  ablateHeads,
  type CausalOptions,
  knockOutEdges,
  patchHeads,
  runCausalTest,
} from '../../../../../webview/engine/inspect/causal/causal-test.ts';
import { rankHeads } from '../../../../../webview/engine/inspect/causal/head-ranking.ts';
import { replayCausal } from '../../../../../webview/engine/inspect/causal/replay.ts';
import type { SimdDecoder } from '../../../../../webview/engine/runtime/simd/simd-decoder.ts';
import { families } from '../../../support/decoder-families.ts';
import { NgramDecoder } from '../../../support/ngram-decoder.ts';
import { openTiny } from '../../../support/open-tiny.ts';
import type { PlanReference } from '../../../support/plan-reference.ts';
import { tiny } from '../../../support/tiny-decoder.ts';

await compileKernels();

const textOf = (length: number, step: number) => Array.from({ length }, (_, i) => (i * step + 3) % tiny.vocab);
const [tokens, other] = [textOf(20, 7), textOf(20, 3)];
const measures: EffectMeasure[] = [
  { kind: 'probability', token: 4 },
  { kind: 'logit-difference', token: 4, against: 9 },
  { kind: 'kl' },
];
const options: CausalOptions = {
  ...{ measure: measures[1]!, control: { sets: 2, seed: 11 }, modelId: 'tiny', runtime: 'simd' },
};
const heads = [{ layer: 0, head: 1 }];

const softmax = (row: ArrayLike<number>) => {
  const exps = Array.from(row, (x) => Math.exp(x));
  const sum = exps.reduce((a, b) => a + b, 0);
  return exps.map((x) => x / sum);
};

/** The effect, computed in float64 from the definitions. */
function effectOf(measure: EffectMeasure, before: Float64Array, after: Float64Array): number {
  const [p, q] = [softmax(before), softmax(after)];
  if (measure.kind === 'probability') return q[measure.token]! - p[measure.token]!;
  if (measure.kind === 'kl') return p.reduce((sum, x, i) => sum + x * Math.log2(x / q[i]!), 0);
  const difference = (row: Float64Array) => row[measure.token]! - row[measure.against]!;
  return difference(after) - difference(before);
}

/** Outputs of the head [position] of [headDim] while a text is read. */
function outputsOf(reference: PlanReference, { headDim }: SimdDecoder, text: readonly number[]) {
  const [{ layer, head }] = heads as [{ layer: number; head: number }];
  reference.reset();
  const { taps } = reference.forward(text);
  return taps[layer]!.output.map((row) => row.subarray(head * headDim, (head + 1) * headDim));
}

function changedRow(reference: PlanReference, changes: { patches?: HeadPatch[]; cuts?: EdgeCut[] }, at: number) {
  reference.reset();
  return reference.forward(tokens, changes).logits[at]!;
}

const averaged = (rows: readonly Float64Array[]) =>
  Array.from(rows[0]!, (_, i) => rows.reduce((sum, row) => sum + row[i]!, 0) / rows.length);

/** What stands in for the head, [position] of [headDim], by the definitions of docs/causal-tests.md. */
const standIns: [
  string,
  Partial<CausalOperation>,
  (read: (text: readonly number[]) => Float64Array[]) => ArrayLike<number>[],
][] = [
  ['zero', { kind: 'zero' }, (read) => read(tokens).map((row) => row.map(() => 0))],
  [
    'mean over positions',
    { kind: 'mean', reference: [tokens, other.slice(0, 9)], over: 'all-positions' },
    (read) => {
      const mean = averaged([tokens, other.slice(0, 9)].flatMap((text) => read(text)));
      return tokens.map(() => mean);
    },
  ],
  [
    'mean of each position',
    { kind: 'mean', reference: [textOf(24, 3), other.slice(0, 9)], over: 'position' },
    (read) => {
      const [long, short] = [textOf(24, 3), other.slice(0, 9)].map((text) => read(text));
      return tokens.map((_, i) => averaged(short![i] ? [long![i]!, short![i]!] : [long![i]!]));
    },
  ],
  [
    'resampled',
    { kind: 'resample', reference: [other.slice(0, 10)], seed: 5 },
    (read) => {
      const rows = read(other.slice(0, 10));
      return tokens.map((_, i) => rows[Math.floor(i / 2)]!);
    },
  ],
  ['patched', { kind: 'patch', source: other, direction: 'noise' }, (read) => read(other)],
];

describe.each(Object.keys(families))('%s', (name) => {
  test.each(standIns)('%s: every measure, all positions, the last, and some', async (_, kind, standIn) => {
    const { decoder, reference } = await openTiny(families[name]);
    if (decoder.heads < 2) return;
    const rows = standIn((text) => outputsOf(reference, decoder, text));
    const at = tokens.length - 1;
    const before = changedRow(reference, {}, at);
    const places = { all: tokens.map((__, i) => i), last: [at], some: [2, 3, 11] };
    for (const [i, [where, positions]] of Object.entries(places).entries()) {
      const patches = positions.map((position): HeadPatch => {
        return { ...heads[0]!, how: 'replace', at: position, rows: Float32Array.from(rows[position]!) };
      });
      const operation = { ...kind, heads, positions: where === 'some' ? positions : where } as CausalOperation;
      const record = await runCausalTest(decoder, tokens, operation, { ...options, measure: measures[i]! });
      const expected = effectOf(measures[i]!, before, changedRow(reference, { patches }, at));
      expect(Math.abs(record.effect - expected)).toBeLessThan(1e-4);
      expect(v.parse(causalRecordSchema, JSON.parse(JSON.stringify(record)))).toEqual(record);
    }
  });

  test('edges of two layers, of all heads and of one', async () => {
    const { decoder, reference } = await openTiny(families[name]);
    const at = 15;
    const edges: [number, number][] = [
      [15, 14],
      [15, 12],
      [13, 12],
    ];
    for (const inHeads of [undefined, [0]]) {
      const cuts = edges.map(([query, key]): EdgeCut => {
        return { query, key, layers: [0, 1], ...(inHeads && { heads: inHeads }) };
      });
      const expected = effectOf(options.measure, changedRow(reference, {}, at), changedRow(reference, { cuts }, at));
      const test = { edges, layers: [0, 1] as [number, number], ...(inHeads && { heads: inHeads }) };
      const record = await knockOutEdges(decoder, tokens, test, { ...options, at });
      expect(Math.abs(record.effect - expected)).toBeLessThan(1e-4);
      expect(record.control.edges).toHaveLength(2);
      for (const set of record.control.edges!)
        expect(set.map(([query, key]) => query - key)).toEqual(edges.map(([query, key]) => query - key));
    }
  });
});

describe('identities, to the bit', () => {
  const whole = (decoder: SimdDecoder) =>
    Array.from({ length: decoder.layers * decoder.heads }, (_, i) => ({
      layer: Math.floor(i / decoder.heads),
      head: i % decoder.heads,
    }));

  test("a text's own outputs in their place, and itself as the resampled text", async () => {
    const { decoder } = await openTiny(families.Qwen3);
    const all = whole(decoder);
    const own = await patchHeads(decoder, tokens, { heads: all, source: tokens, direction: 'noise' }, options);
    expect(own.effect).toBe(0);
    const drawn = { how: 'resample', heads: all, reference: [tokens], seed: 1 } as const;
    expect((await ablateHeads(decoder, tokens, { ...drawn, heads: all, reference: [tokens] }, options)).effect).toBe(0);
    const mean = { how: 'mean', heads: all, reference: [tokens], over: 'position' } as const;
    expect((await ablateHeads(decoder, tokens, { ...mean, heads: all, reference: [tokens] }, options)).effect).toBe(0);
  });

  test('all heads from a text with the same last token, at that token alone: its prediction', async () => {
    const { decoder } = await openTiny(families.Llama);
    const source = [...other.slice(0, -1), tokens.at(-1)!];
    const test = { heads: whole(decoder), source, direction: 'denoise', positions: 'last' } as const;
    const { changed, source: expected, effect } = await patchHeads(decoder, tokens, { ...test, source }, options);
    expect(changed).toBe(expected);
    expect(effect).not.toBe(0);
  });
});

describe('a ranking', () => {
  test.each(['all', 'last'] as const)('is what single tests say, to the bit, batched or not: %s', async (positions) => {
    const { decoder } = await openTiny(families['Gemma 2']);
    const operation = { kind: 'zero', positions } as const;
    const ranking = await rankHeads(decoder, tokens, operation, options);
    expect(v.parse(headRankingSchema, JSON.parse(JSON.stringify(ranking)))).toEqual(ranking);
    expect(await rankHeads(decoder, tokens, operation, { ...options, isAlone: true })).toEqual(ranking);
    expect(ranking.entries).toHaveLength(decoder.layers * decoder.heads);
    for (const { layer, head, ...entry } of ranking.entries) {
      const single = await runCausalTest(decoder, tokens, { ...operation, heads: [{ layer, head }] }, options);
      expect(entry).toEqual({ changed: single.changed, effect: single.effect, control: single.control });
    }
    const sizes = ranking.entries.map(({ effect }) => Math.abs(effect));
    expect(sizes).toEqual([...sizes].sort((a, b) => b - a));
  });

  test('of the last position forwards the text once and one token a head', async () => {
    const { decoder } = await openTiny();
    const batch = vi.spyOn(decoder, 'forwardBatch');
    await rankHeads(decoder, tokens, { kind: 'zero', positions: 'last' }, options);
    expect(decoder.counters.forwardedTokens).toBe(tokens.length + decoder.layers * decoder.heads);
    expect(Math.max(...batch.mock.calls.map(([items]) => items.length))).toBeGreaterThan(3);
  });

  test('of some heads has the control that a single test has', async () => {
    const { decoder } = await openTiny();
    const operation = { kind: 'zero', positions: 'last' } as const;
    const ranking = await rankHeads(decoder, tokens, operation, { ...options, heads });
    const single = await runCausalTest(decoder, tokens, { ...operation, heads }, options);
    expect(ranking.entries).toEqual([
      { ...heads[0], changed: single.changed, effect: single.effect, control: single.control },
    ]);
  });

  test('stops when it is cancelled, gives back its caches and leaves the decoder usable', async () => {
    const { decoder } = await openTiny();
    const controller = new AbortController();
    const caches = vi.spyOn(decoder, 'createCache');
    const forks: { sizeBytes: number }[] = [];
    const onProgress = (done: number, total: number) => {
      if (done > total / 3) controller.abort();
    };
    const signal = controller.signal;
    const ranking = rankHeads(decoder, tokens, { kind: 'zero', positions: 'all' }, { ...options, onProgress, signal });
    await expect(ranking).rejects.toMatchObject({ code: 'cancelled' });
    for (const { value } of caches.mock.results) forks.push(value);
    expect(forks.length).toBeGreaterThan(2);
    expect(forks.every(({ sizeBytes }) => sizeBytes === 0)).toBe(true);
    const needed = tokens.length * (1 + decoder.layers * decoder.heads);
    expect(decoder.counters.forwardedTokens).toBeLessThan(needed);
    await expect(
      runCausalTest(decoder, tokens, { kind: 'zero', heads, positions: 'all' }, options),
    ).resolves.toBeDefined();
  });

  test('says how far it is, up to the end', async () => {
    const { decoder } = await openTiny();
    const seen: [number, number][] = [];
    const onProgress = (done: number, total: number) => seen.push([done, total]);
    await rankHeads(decoder, tokens, { kind: 'zero', positions: 'all' }, { ...options, onProgress });
    expect(seen.length).toBeGreaterThan(5);
    const [done, total] = seen.at(-1)!;
    expect(done).toBe(total);
    expect(seen.map(([count]) => count)).toEqual(seen.map(([count]) => count).sort((a, b) => a - b));
  });
});

describe('done again', () => {
  const operations: CausalOperation[] = [
    { kind: 'resample', heads, positions: 'all', reference: [other, tokens, other.slice(3)], seed: 8 },
    { kind: 'patch', heads, positions: [4, 5], source: other, direction: 'denoise' },
    { kind: 'knock-out', edges: [[9, 2]], layers: [0, 1] },
  ];

  test.each(operations)('the same numbers: $kind', async (operation) => {
    const { decoder } = await openTiny();
    const old = await runCausalTest(decoder, tokens, operation, { ...options, at: 14 });
    const stored = v.parse(causalRecordSchema, JSON.parse(JSON.stringify(old)));
    const again = await replayCausal((await openTiny()).decoder, stored, { modelId: 'tiny', runtime: 'simd' });
    expect(again).toEqual({ record: old, largestDifference: 0, mismatches: [] });
  });

  test('another model, another runtime, altered texts and altered numbers are told', async () => {
    const { decoder } = await openTiny();
    const old = await runCausalTest(decoder, tokens, operations[0]!, options);
    const operation = { ...operations[0]!, reference: [tokens, other, other.slice(3)] } as CausalOperation;
    const altered = { ...old, operation, changed: old.changed + 0.5 };
    const again = await replayCausal(decoder, altered, { modelId: 'large', runtime: 'ort' });
    expect(again.mismatches).toEqual([
      expect.stringContaining('the model tiny'),
      expect.stringContaining('the runtime simd'),
      expect.stringContaining('not those'),
    ]);
    expect(again.largestDifference).toBeGreaterThan(0.1);
  });

  test('a ranking', async () => {
    const { decoder } = await openTiny();
    const old = await rankHeads(decoder, tokens, { kind: 'zero', positions: 'last' }, options);
    const again = await replayCausal(decoder, old, { modelId: 'tiny', runtime: 'simd' });
    expect(again).toEqual({ record: old, largestDifference: 0, mismatches: [] });
  });
});

describe('what cannot be', () => {
  const zero = { kind: 'zero', heads, positions: 'all' } as const;
  const cases: [string, CausalOperation, Partial<CausalOptions>, string][] = [
    ['a head', { ...zero, heads: [{ layer: 9, head: 0 }] }, {}, 'no head 9.0'],
    ['a position', { ...zero, heads, positions: [20] }, {}, 'Position 20'],
    ['a measured position', { ...zero, heads }, { at: 20 }, 'no position 20'],
    ['a token', { ...zero, heads }, { measure: { kind: 'probability', token: 500 } }, 'no token 500'],
    ['a source', { kind: 'patch', heads, positions: 'all', source: [1, 2], direction: 'noise' }, {}, '2 tokens'],
    [
      'a reference',
      { kind: 'mean', heads, positions: 'all', reference: [[1]], over: 'position' },
      {},
      'longest reference',
    ],
    ['a query', { kind: 'knock-out', edges: [[9, 1]], layers: [0, 1] }, { at: 5 }, 'Query 9'],
    ['an edge', { kind: 'knock-out', edges: [[3, 4]], layers: [0, 1] }, {}, 'query 3 to key 4'],
    [
      'all edges',
      {
        kind: 'knock-out',
        edges: [
          [1, 0],
          [1, 1],
        ],
        layers: [0, 1],
      },
      {},
      'Query 1 would see no key',
    ],
  ];

  test.each(cases)('%s', async (_, operation, wishes, message) => {
    const { decoder } = await openTiny();
    const wrong = runCausalTest(decoder, tokens, operation, { ...options, ...wishes });
    await expect(wrong).rejects.toMatchObject({ code: 'bad-input', message: expect.stringContaining(message) });
  });

  test('no text', async () => {
    const { decoder } = await openTiny();
    await expect(runCausalTest(decoder, [], zero as never, options)).rejects.toThrow('no text');
  });

  test('a runtime that changes nothing is named', async () => {
    const decoder = new NgramDecoder([1, 2, 3]);
    const wrong = runCausalTest(
      decoder,
      [1, 2],
      { kind: 'zero', heads: [{ layer: 0, head: 0 }], positions: 'all' },
      options,
    );
    await expect(wrong).rejects.toMatchObject({ code: 'model-unsupported' });
  });
});

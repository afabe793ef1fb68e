/** Patches and gates on ONNX Runtime: what our own kernels, held to float64 elsewhere, make of the same bytes. */
import { readFileSync } from 'node:fs';
import { beforeAll, describe, expect, test } from 'vitest';
import type { Decoder, HeadPatch, Intervention } from '../../../../webview/engine/decoder.ts';
import { readModel } from '../../../../webview/engine/graph/onnx-model.ts';
import { knockOutEdges, runCausalTest } from '../../../../webview/engine/inspect/causal/causal-test.ts';
import { rankHeads } from '../../../../webview/engine/inspect/causal/head-ranking.ts';
import { loadDecoder } from '../../../../webview/engine/runtime/load-decoder.ts';
import { compileDecoder } from '../../../../webview/engine/runtime/simd/compile/compile-graph.ts';
import { readFixture } from '../../support/attention-fixture.ts';
import { openPlan } from '../../support/open-tiny.ts';
import { readOrtWasm } from '../../support/small-runtime.ts';

const contextLength = 40;
const folder = new URL('../../../fixtures/attention/', import.meta.url);

async function openBoth(name: string): Promise<{ ort: Decoder; simd: Decoder; tokens: readonly number[] }> {
  const { graph, cases } = readFixture(name);
  const never = () => Promise.reject(new Error('Our own kernels are not asked for.'));
  const { decoder } = await loadDecoder(
    {
      ...{ graph, graphPath: 'model.onnx', externalData: [], ortWasm: async () => readOrtWasm() },
      config: JSON.parse(readFileSync(new URL(`${name}/config.json`, folder), 'utf8')),
      kernels: { relaxed: never, plain: never, relaxedThreads: never, plainThreads: never },
    },
    { device: 'wasm', runtime: 'ort', cacheLimitBytes: 2 ** 26, modelId: name, onProgress: () => {} },
  );
  const plan = compileDecoder(readModel(graph), { contextLength });
  const { decoder: simd } = await openPlan(plan, { contextLength });
  return { ort: decoder, simd, tokens: cases.find(({ past }) => past === 0)!.inputIds };
}

beforeAll(async () => void (await openBoth('llama-gqa')), 120_000); // compiles ONNX Runtime and our kernels

async function run(
  decoder: Decoder,
  tokens: readonly number[],
  changes: Intervention,
  size: number,
): Promise<number[]> {
  const cache = decoder.createCache();
  const rows: number[] = [];
  for (let at = 0; at < tokens.length; at += size) {
    const part = tokens.slice(at, at + size);
    rows.push(...(await decoder.forward(cache, part, { logits: 'all', arithmetic: 'float32', ...changes })).logits);
  }
  return rows;
}

const worst = (a: ArrayLike<number>, b: ArrayLike<number>) =>
  Math.max(...Array.from(a, (value, i) => Math.abs(value - b[i]!)));

function changesOf({ heads, headDim }: Decoder) {
  const rows = (count: number) => Float32Array.from({ length: count * headDim }, (_, i) => Math.sin(i) / 2);
  const patches: HeadPatch[] = [
    { layer: 0, head: 1, how: 'add', at: 2, rows: rows(5) },
    { layer: 0, head: 1, how: 'replace', at: 4, rows: rows(9) },
    { layer: 1, head: heads - 1, how: 'replace', at: 11, rows: rows(7) },
    { layer: 1, head: heads - 1, how: 'add', at: 17, rows: rows(3) },
  ];
  return { patches, gates: Float32Array.from({ length: 2 * heads }, (_, i) => [1, 0.5, 0, -1][i % 4]!) };
}

const names = [
  ...['llama-gqa', 'llama-mha', 'qwen3-gqa', 'gemma2-gqa-softcap', 'gpt2-cache-eager-ts'],
  ...['mistral-cache-attention23', 'qwen2-cache-sdpa-ts'],
];

describe.each(names)('on ONNX Runtime: %s', (name) => {
  test('patches and gates, however the text is cut into runs', async () => {
    const { ort, simd, tokens } = await openBoth(name);
    expect(ort.hasPatches).toBe(true);
    const { patches, gates } = changesOf(simd);
    for (const size of [tokens.length, 5]) {
      const plain = await run(ort, tokens, {}, size);
      for (const changes of [{ patches }, { gates }, { patches, gates }]) {
        const changed = await run(ort, tokens, changes, size);
        expect(worst(changed, await run(simd, tokens, changes, size))).toBeLessThan(2e-4);
        expect(worst(changed, plain)).toBeGreaterThan(1e-3);
      }
    }
  });

  test('causal tests and rankings', async () => {
    const { ort, simd, tokens } = await openBoth(name);
    const measure = { kind: 'kl' } as const;
    const options = { measure, control: { sets: 1, seed: 1 }, modelId: 'tiny', runtime: 'ort' };
    const mean = { kind: 'mean', positions: 'all', over: 'all-positions' } as const;
    const operation = { ...mean, heads: [{ layer: 0, head: 1 }], reference: [[...tokens]] };
    const own = await runCausalTest(ort, tokens, operation, options);
    const other = await runCausalTest(simd, tokens, operation, options);
    expect(own.effect).toBeGreaterThan(1e-5);
    expect(worst([own.effect, ...own.control.effects], [other.effect, ...other.control.effects])).toBeLessThan(1e-4);
    const ranking = await rankHeads(ort, tokens, { kind: 'zero', positions: 'last' }, options);
    const expected = await rankHeads(simd, tokens, { kind: 'zero', positions: 'last' }, options);
    const inOrder = ({ entries }: typeof ranking) =>
      [...entries].sort((a, b) => a.layer - b.layer || a.head - b.head).map(({ effect }) => effect);
    expect(worst(inOrder(ranking), inOrder(expected))).toBeLessThan(1e-4);
  });
});

test('cuts are refused in a sentence, and the decoder goes on', async () => {
  const { ort, tokens } = await openBoth('llama-gqa');
  const options = { control: { sets: 0, seed: 1 }, modelId: 'tiny', runtime: 'ort', measure: { kind: 'kl' } } as const;
  const wrong = knockOutEdges(ort, tokens, { edges: [[5, 1]], layers: [0, 0] }, options);
  await expect(wrong).rejects.toMatchObject({ code: 'model-unsupported', message: expect.stringContaining('cuts') });
  await expect(run(ort, tokens, {}, tokens.length)).resolves.toBeDefined();
});

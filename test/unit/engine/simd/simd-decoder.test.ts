/** The whole machine: models in every export style, on both builds, against PyTorch and against itself. */
import { describe, expect, test } from 'vitest';
import { compileKernels } from '../../../../scripts/kernels.mjs';
import type { Cache, ForwardOptions } from '../../../../webview/engine/decoder.ts';
import { readModel } from '../../../../webview/engine/graph/onnx-model.ts';
import { Inspection } from '../../../../webview/engine/inspect/inspection.ts';
import { compileDecoder } from '../../../../webview/engine/runtime/simd/compile/compile-graph.ts';
import { openSimdDecoder } from '../../../../webview/engine/runtime/simd/open-simd-decoder.ts';
import type { SimdDecoder } from '../../../../webview/engine/runtime/simd/simd-decoder.ts';
import { attentionFixtures, readFixture } from '../../support/attention-fixture.ts';
import { type Build, builds } from '../../support/kernels.ts';
import { PlanReference } from '../../support/plan-reference.ts';

const contextLength = 40;
const kernels = compileKernels();

interface Wishes {
  readonly build?: Build;
  readonly arithmetic?: 'int8' | 'float32';
  readonly cachePrecision?: 'float32' | 'float16';
}

async function open(
  name: string,
  { build = 'relaxed', arithmetic = 'float32', cachePrecision = 'float32' }: Wishes = {},
) {
  const fixture = readFixture(name);
  const plan = compileDecoder(readModel(fixture.graph), { contextLength });
  const decoder = await openSimdDecoder(
    { plan, externalData: [], kernels: { [build]: (await kernels)[build] }, contextLength },
    { arithmetic, cachePrecision, cacheLimitBytes: 2 ** 26 },
  );
  const prompt = fixture.cases.find(({ past }) => past === 0)!.inputIds;
  return { fixture, plan, decoder, prompt };
}

async function logitsOf(decoder: SimdDecoder, tokens: readonly number[], options: Partial<ForwardOptions> = {}) {
  const { logits } = await decoder.forward(decoder.createCache(), tokens, { logits: 'all', ...options });
  return logits;
}

const worst = (a: ArrayLike<number>, b: ArrayLike<number>) => {
  expect(a.length).toBe(b.length);
  let most = 0;
  for (let i = 0; i < a.length; i++) most = Math.max(most, Math.abs(a[i]! - b[i]!));
  return most;
};

describe.each(builds)('the %s build', (build) => {
  test.each(attentionFixtures())('computes what PyTorch computes: %s', async (name) => {
    const { fixture, decoder, prompt } = await open(name, { build });
    const { attention, heads, kvHeads, headDim } = decoder;
    const isHalf = name.includes('fp16'); // its constants are rounded
    for (const { inputIds, past, logits, attentions } of fixture.cases) {
      const cache = decoder.createCache();
      if (past > 0) await decoder.forward(cache, prompt, { logits: 'none' });
      const layers = attentions.map((_, layer) => layer);
      const result = await decoder.forward(cache, inputIds, { logits: 'all', taps: layers });
      expect(worst(result.logits, logits.data)).toBeLessThan(isHalf ? 1e-3 : 2e-4);
      if (past > 0) continue;
      const inspection = new Inspection(result.taps, attention, { heads, kvHeads, headDim });
      for (const layer of layers) {
        const maps = Array.from({ length: heads }, (_, head) => [...inspection.map(layer, head)]).flat();
        expect(worst(maps, attentions[layer]!.data)).toBeLessThan(isHalf ? 5e-4 : 1e-5);
      }
    }
  });
});

describe('the same numbers to the bit', () => {
  const bits = (logits: Float32Array) => Array.from(new Int32Array(logits.slice().buffer));
  const forms: [string, Wishes][] = [
    ['qwen2-gqa-q4', { arithmetic: 'int8' }],
    ['mistral-gqa-q4', { arithmetic: 'float32' }],
    ['gemma3-gqa', { cachePrecision: 'float16' }],
  ];

  test.each(forms)('however the text is cut into runs: %s %j', async (name, wishes) => {
    const { decoder, prompt } = await open(name, wishes);
    const whole = bits(await logitsOf(decoder, prompt));
    for (const size of [1, 3, 7]) {
      const cache = decoder.createCache();
      const parts: number[] = [];
      for (let at = 0; at < prompt.length; at += size) {
        const { logits } = await decoder.forward(cache, prompt.slice(at, at + size), { logits: 'all' });
        parts.push(...bits(logits));
      }
      expect(parts).toEqual(whole);
    }
  });

  test.each(forms)('in a batch, from a fork and from a cropped cache: %s %j', async (name, wishes) => {
    const { decoder, prompt } = await open(name, wishes);
    const [half, next] = [prompt.slice(0, 7), prompt.slice(7, 9)];
    const expected = bits((await logitsOf(decoder, [...half, ...next])).slice(-decoder.vocabSize));
    const from = async (cache: Cache) => bits((await decoder.forward(cache, next, { logits: 'last' })).logits);

    const cache = decoder.createCache();
    await decoder.forward(cache, half, { logits: 'none' });
    const [fork, batched, other] = [cache.fork(), cache.fork(), cache.fork()];
    const items = [
      { cache: other, tokens: [1, 2, 3] },
      { cache: batched, tokens: next },
    ];
    const results = await decoder.forwardBatch(items, { logits: 'last' });
    expect(bits(results[1]!.logits)).toEqual(expected);
    await decoder.forward(cache, [5, 6, 7], { logits: 'none' });
    cache.crop(half.length);
    expect(await from(cache)).toEqual(expected);
    expect(await from(fork)).toEqual(expected);
  });

  test('whether taps are asked for or not, and with gates of 1', async () => {
    const { decoder, prompt } = await open('llama-gqa');
    const plain = bits(await logitsOf(decoder, prompt));
    expect(decoder.counters.tappedBytes).toBe(0);
    expect(bits(await logitsOf(decoder, prompt, { taps: [0, 1], tapOutputs: true }))).toEqual(plain);
    expect(decoder.counters.tappedBytes).toBeGreaterThan(0);
    const gates = new Float32Array(decoder.layers * decoder.heads).fill(1);
    expect(bits(await logitsOf(decoder, prompt, { gates }))).toEqual(plain);
  });
});

test('gates and taps are those of the reference', async () => {
  const { decoder, plan, prompt } = await open('qwen3-gqa');
  const gates = Float32Array.from({ length: plan.layers * plan.heads }, (_, i) => (i * 7) % 3);
  const reference = new PlanReference(plan, ({ source }) => ('bytes' in source ? source.bytes : new Uint8Array(0)));
  const expected = reference.forward(prompt, { gates });
  const result = await decoder.forward(decoder.createCache(), prompt, {
    ...{ logits: 'all', gates, tapOutputs: true },
    taps: plan.steps.flatMap((step) => (step.op === 'attention' ? [step.layer] : [])),
  });
  const flat = (rows: readonly Float64Array[]) => rows.flatMap((row) => [...row]);
  expect(worst(result.logits, flat(expected.logits))).toBeLessThan(2e-4);
  for (const [layer, tap] of result.taps.entries()) {
    const { output, residual, key } = expected.taps[layer]!;
    expect(worst(tap.output!, flat(output))).toBeLessThan(1e-4);
    expect(worst(tap.residual!, flat(residual))).toBeLessThan(1e-4);
    const { kvHeads, headDim } = plan;
    for (let head = 0; head < kvHeads; head++)
      for (const [token, row] of key.entries()) {
        const at = (head * key.length + token) * headDim;
        const own = tap.key.subarray(at, at + headDim);
        expect(worst(own, row.subarray(head * headDim, (head + 1) * headDim))).toBeLessThan(1e-4);
      }
  }
});

test('int8 activations are near to exact ones', async () => {
  const rounded = await open('qwen2-gqa-q4', { arithmetic: 'int8' });
  const logits = await logitsOf(rounded.decoder, rounded.prompt);
  const exact = await logitsOf(rounded.decoder, rounded.prompt, { arithmetic: 'float32' });
  expect(worst(logits, exact)).toBeGreaterThan(0);
  expect(worst(logits, exact)).toBeLessThan(0.5); // native ONNX Runtime is as far off on these random weights
});

describe('what cannot be', () => {
  test('no tokens, too many, one that there is not, one cache twice, a cache of another runtime', async () => {
    const { decoder } = await open('llama-gqa');
    const cache = decoder.createCache();
    const run = (tokens: number[], on: Cache = cache) => decoder.forward(on, tokens, { logits: 'none' });
    await expect(run([])).rejects.toThrow('takes 1 to 32 tokens');
    await expect(run(new Array(33).fill(1))).rejects.toThrow('not 33');
    await expect(run([1e9])).rejects.toThrow('There is no token 1000000000');
    const twice = [1, 2].map((id) => ({ cache, tokens: [id] }));
    await expect(decoder.forwardBatch(twice, { logits: 'none' })).rejects.toThrow('a cache of its own');
    const foreign = { length: 0 } as Cache;
    await expect(run([1], foreign)).rejects.toThrow('another runtime');
    await run([1, 2, 3]);
    expect(cache.length).toBe(3);
  });

  test('more than the context: says how much, and the cache stays', async () => {
    const { decoder } = await open('llama-gqa');
    const cache = decoder.createCache();
    await decoder.forward(cache, new Array(30).fill(1), { logits: 'none' });
    const more = decoder.forward(cache, new Array(11).fill(1), { logits: 'none' });
    await expect(more).rejects.toMatchObject({
      code: 'context-overflow',
      message: expect.stringContaining('41 tokens'),
    });
    expect(cache.length).toBe(30);
  });

  test('a cancelled run leaves the cache as it was', async () => {
    const { decoder } = await open('llama-gqa');
    const cache = decoder.createCache();
    const signal = AbortSignal.abort();
    await expect(decoder.forward(cache, [1], { logits: 'none', signal })).rejects.toMatchObject({ code: 'cancelled' });
    expect(cache.length).toBe(0);
  });
});

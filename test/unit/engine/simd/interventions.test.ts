/** Patches, cuts and gates of one sequence on our own kernels: against float64, by identities, and to the bit when off. */
import { describe, expect, test } from 'vitest';
import { compileKernels } from '../../../../scripts/kernels.mjs';
import type { EdgeCut, ForwardOptions, HeadPatch, Intervention } from '../../../../webview/engine/decoder.ts';
import type { SimdDecoder } from '../../../../webview/engine/runtime/simd/simd-decoder.ts';
import { families } from '../../support/decoder-families.ts';
import { attentions } from '../../support/decoder-forms.ts';
import { builds } from '../../support/kernels.ts';
import { openTiny } from '../../support/open-tiny.ts';
import { createRandom } from '../../support/random.ts';
import { tiny } from '../../support/tiny-decoder.ts';

await compileKernels(); // not within the time of the first test

const prompt = Array.from({ length: 30 }, (_, i) => (i * 7 + 3) % tiny.vocab);
const bits = (logits: Float32Array) => Array.from(new Int32Array(logits.slice().buffer));

const worst = (a: ArrayLike<number>, b: ArrayLike<number>) => {
  expect(a.length).toBe(b.length);
  let most = 0;
  for (let i = 0; i < a.length; i++) most = Math.max(most, Math.abs(a[i]! - b[i]!));
  return most;
};

async function run(decoder: SimdDecoder, options: Partial<ForwardOptions> = {}, tokens = prompt, size = 32) {
  const cache = decoder.createCache();
  const rows: number[] = [];
  for (let at = 0; at < tokens.length; at += size) {
    const part = tokens.slice(at, at + size);
    rows.push(...(await decoder.forward(cache, part, { logits: 'all', ...options })).logits);
  }
  cache.dispose();
  return Float32Array.from(rows);
}

/** Something of everything, in all layers, at the edges of runs and pages and behind them. */
function changes({ layers, heads, headDim }: SimdDecoder, seed: number): Required<Intervention> {
  const random = createRandom(seed);
  const below = (limit: number) => Math.floor(random() * limit);
  const patches = Array.from({ length: 12 }, (_, i): HeadPatch => {
    const rows = Float32Array.from({ length: headDim * (1 + below(6)) }, () => random() - 0.5);
    const how = i % 3 === 0 ? 'add' : 'replace';
    return { layer: below(layers), head: below(heads), how, at: below(32), rows };
  });
  const cuts = Array.from({ length: 60 }, (_, i): EdgeCut => {
    const query = 1 + below(prompt.length - 1);
    const layer = below(layers);
    // Of a window of 1 nothing may be cut, of others the last key stays.
    return { query, key: below(query), layers: [layer, layers - 1], ...(i % 2 === 0 && { heads: [below(heads)] }) };
  });
  const gates = Float32Array.from({ length: layers * heads }, (_, i) => [1, 0, 0.5, 1, -2][i % 5]!);
  return { patches, cuts, gates };
}

describe.each(builds)('the %s build', (build) => {
  test.each(Object.keys({ ...families, ...attentions }))('computes what float64 does: %s', async (name) => {
    const { decoder, reference } = await openTiny({ ...families, ...attentions }[name]!, build);
    const changed = changes(decoder, name.length);
    const expected = reference.forward(prompt, changed).logits.flatMap((row) => [...row]);
    const logits = await run(decoder, changed);
    expect(worst(logits, expected)).toBeLessThan(2e-4);
    expect(worst(logits, await run(decoder))).toBeGreaterThan(1e-3);
    for (const size of [1, 7]) expect(bits(await run(decoder, changed, prompt, size))).toEqual(bits(logits));
  });
});

describe('each sequence of a batch has changes of its own', () => {
  test('to the bit what it is alone, beside others and after cached tokens', async () => {
    const { decoder } = await openTiny(families.Qwen3);
    const past = decoder.createCache();
    await decoder.forward(past, prompt.slice(0, 20), { logits: 'none' });
    const next = prompt.slice(20, 26);
    const all = [{}, changes(decoder, 1), { gates: changes(decoder, 1).gates }, { cuts: changes(decoder, 4).cuts }];
    const items = all.map((changed) => ({ ...changed, cache: past.fork(), tokens: next }));
    const results = await decoder.forwardBatch(items, { logits: 'all' });
    for (const [i, changed] of all.entries()) {
      const { logits } = await decoder.forward(past.fork(), next, { logits: 'all', ...changed });
      expect(bits(results[i]!.logits)).toEqual(bits(logits));
    }
    const { patches, ...rest } = changes(decoder, 7);
    const shared = await decoder.forwardBatch([{ ...rest, cache: past.fork(), tokens: next }], {
      ...{ logits: 'all', patches },
    });
    const { logits } = await decoder.forward(past.fork(), next, { logits: 'all', patches, ...rest });
    expect(bits(shared[0]!.logits)).toEqual(bits(logits));
  });

  test('and leave nothing behind', async () => {
    const { decoder } = await openTiny();
    const before = bits(await run(decoder));
    await run(decoder, changes(decoder, 2));
    expect(bits(await run(decoder))).toEqual(before);
  });
});

describe('identities', () => {
  test('nothing changed is nothing changed, to the bit', async () => {
    const { decoder } = await openTiny(families['Gemma 3']);
    const plain = bits(await run(decoder));
    const gates = new Float32Array(decoder.layers * decoder.heads).fill(1);
    const zeros = { layer: 0, head: 1, how: 'add', at: 0, rows: new Float32Array(8 * decoder.headDim) } as const;
    const later = { ...zeros, how: 'replace', at: prompt.length } as const;
    const options: Partial<ForwardOptions>[] = [{ gates }, { patches: [], cuts: [] }, { patches: [zeros, later] }];
    for (const changed of options) expect(bits(await run(decoder, changed))).toEqual(plain);
  });

  test("a head's own output in its place changes nothing, to the bit", async () => {
    const { decoder } = await openTiny(families['GPT-2']);
    const taps = Array.from({ length: decoder.layers }, (_, layer) => layer);
    const result = await decoder.forward(decoder.createCache(), prompt, { logits: 'all', taps, tapOutputs: true });
    const { heads, headDim } = decoder;
    const patches = taps.flatMap((layer) =>
      Array.from({ length: heads }, (_, head): HeadPatch => {
        const output = result.taps[layer]!.output!;
        const rows = prompt.flatMap((_, token) => {
          const at = (token * heads + head) * headDim;
          return [...output.subarray(at, at + headDim)];
        });
        return { layer, head, how: 'replace', at: 0, rows: Float32Array.from(rows) };
      }),
    );
    expect(bits(await run(decoder, { patches }))).toEqual(bits(result.logits));
    const shut = { patches, gates: new Float32Array(decoder.layers * heads) };
    expect(bits(await run(decoder, shut))).toEqual(bits(result.logits));
  });

  test('rows of zeros in place of a head are its gate at 0', async () => {
    const { decoder } = await openTiny(families['gpt-oss']);
    const gates = new Float32Array(decoder.layers * decoder.heads).fill(1);
    gates[1] = 0;
    const rows = new Float32Array(prompt.length * decoder.headDim);
    const patches: HeadPatch[] = [{ layer: 0, head: 1, how: 'replace', at: 0, rows }];
    expect(bits(await run(decoder, { patches }))).toEqual(bits(await run(decoder, { gates })));
  });

  test('all edges to the first token cut: the rest is the text without it, rotary scores being relative', async () => {
    const { decoder } = await openTiny(families.Llama);
    const cuts = prompt.slice(1).map((_, i): EdgeCut => ({ query: i + 1, key: 0, layers: [0, decoder.layers - 1] }));
    const whole = await run(decoder, { cuts });
    const without = await run(decoder, {}, prompt.slice(1));
    expect(worst(whole.subarray(decoder.vocabSize), without)).toBeLessThan(1e-4);
  });
});

describe('what cannot be', () => {
  const row = new Float32Array(tiny.headDim);
  const cut = { query: 3, key: 1, layers: [0, 1] } as const;
  const patch: HeadPatch = { layer: 0, head: 0, how: 'add', at: 0, rows: row };
  const cases: [string, Intervention, string][] = [
    ['a head', { patches: [{ ...patch, head: 4 }] }, 'no head 0.4'],
    ['a layer', { patches: [{ ...patch, layer: -1 }] }, 'no head -1.0'],
    ['a width', { patches: [{ ...patch, rows: new Float32Array(7) }] }, '7 numbers'],
    ['no rows', { patches: [{ ...patch, rows: new Float32Array(0) }] }, '0 numbers'],
    ['a place', { patches: [{ ...patch, at: 0.5 }] }, 'position 0.5'],
    ['a number of gates', { gates: new Float32Array(7) }, '7 gates'],
    ['a key after its query', { cuts: [{ ...cut, key: 4 }] }, 'query 3 to key 4'],
    ['an empty window of layers', { cuts: [{ ...cut, layers: [1, 0] }] }, 'is empty'],
    ['a layer of a cut', { cuts: [{ ...cut, layers: [0, 2] }] }, 'no head 2.0'],
    ['a head of a cut', { cuts: [{ ...cut, heads: [9] }] }, 'no head 0.9'],
    ['a query without keys', { cuts: [0, 1, 2, 3].map((key) => ({ ...cut, key })) }, 'Query 3 would see no key'],
    [
      'a query without keys in one head',
      { cuts: [0, 1, 2, 3].map((key) => ({ ...cut, key, ...(key > 1 && { heads: [2] }) })) },
      'no key in head 0.2',
    ],
  ];

  test.each(cases)('%s', async (_, changed, message) => {
    const { decoder } = await openTiny();
    const cache = decoder.createCache();
    const wrong = decoder.forward(cache, prompt.slice(0, 8), { logits: 'none', ...changed });
    await expect(wrong).rejects.toMatchObject({ code: 'bad-input', message: expect.stringContaining(message) });
    expect(cache.length).toBe(0);
    await expect(decoder.forward(cache, [1], { logits: 'none' })).resolves.toBeDefined();
  });

  test('a query of a window without keys', async () => {
    const { decoder } = await openTiny(attentions['a window of 4']);
    const cuts = [7, 8, 9, 10].map((key): EdgeCut => ({ query: 10, key, layers: [1, 1] }));
    const wrong = decoder.forward(decoder.createCache(), prompt, { logits: 'none', cuts });
    await expect(wrong).rejects.toThrow('Query 10 would see no key in head 1.0');
    await expect(run(decoder, { cuts: cuts.slice(1) })).resolves.toBeDefined();
  });
});

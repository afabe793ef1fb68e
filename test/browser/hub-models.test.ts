/** Encoders, translators and vision models through transformers.js in a browser, against PyTorch. */
import { readFileSync, rmSync } from 'node:fs';
import * as ort from 'onnxruntime-web/webgpu';
import { afterAll, afterEach, describe, expect, it } from 'vitest';
import { openBrowserEngine } from '../../scripts/browser-engine/browser-engine.mjs';
import { capture, openTapped } from '../unit/support/tapped-run.ts';
import { readTruth, type Truth } from './support/fixture-truth.ts';
import { createHubFolder } from './support/hub-folder.ts';
import { readNumpy } from './support/numpy-file.ts';
import { encodePng } from './support/png-file.ts';

type Engine = Awaited<ReturnType<typeof openBrowserEngine>>;
let engine: Engine | undefined;
const folders: string[] = [];

afterEach(async () => {
  await engine?.close();
  engine = undefined;
});

afterAll(() => {
  for (const folder of folders) rmSync(folder, { recursive: true });
});

async function open(fixture: string, leaveOut?: string[]): Promise<Engine> {
  const folder = createHubFolder(fixture, leaveOut);
  folders.push(folder);
  engine = await openBrowserEngine({ model: folder });
  return engine;
}

function idsOf(truth: Truth, name: string) {
  return { kind: 'ids' as const, ids: Array.from(truth.tensor(name).data) };
}

/** Every head of every attention of the truth, in the stacks of an inspection. */
async function expectTruth(
  opened: Engine,
  inspection: { inspectionId: number; stacks: readonly { name: string; layers: number; heads: number }[] },
  truth: Truth,
) {
  const counted = new Map<string, number>();
  let largest = 0;
  for (const { tensor, kind, layer } of truth.attentions) {
    const name = kind === 'self' ? 'encoder' : kind;
    const stack = inspection.stacks.findIndex((one) => one.name === name);
    const { dims, data } = truth.tensor(tensor);
    const [, heads = 0, queries = 0, keys = 0] = dims;
    expect(inspection.stacks[stack]?.heads, `heads of ${name}`).toBe(heads);
    counted.set(name, (counted.get(name) ?? 0) + 1);
    for (let head = 0; head < heads; head++) {
      const map = await opened.call('attentionMap', {
        ...{ inspectionId: inspection.inspectionId },
        stack,
        layer,
        head,
      });
      expect([map.tokens, map.keys ?? map.tokens]).toEqual([queries, keys]);
      const start = head * queries * keys;
      for (const [i, weight] of map.weights.entries()) largest = Math.max(largest, Math.abs(weight - data[start + i]!));
    }
  }
  expect(inspection.stacks.map(({ name, layers }) => [name, layers])).toEqual([...counted]);
  expect(largest).toBeLessThan(truth.tolerance);
}

describe('encoders', () => {
  it('distilbert-sdpa-ts: every head as in PyTorch', async () => {
    const truth = readTruth('distilbert-sdpa-ts');
    const opened = await open('distilbert-sdpa-ts');
    const { kind, inspectionRefused } = await opened.load();
    expect([kind, inspectionRefused]).toEqual(['encoder', undefined]);
    const inspection = await opened.call('inspect', { input: idsOf(truth, 'input_ids'), priority: 'interactive' });
    await expectTruth(opened, inspection, truth);
  });

  // PyTorch's numbers of these are for two texts at once, by `token_type_ids`; here it is one.
  it.each([
    { fixture: 'bert-eager', tolerance: 1e-5 },
    { fixture: 'bert-attention23', tolerance: 1e-5 },
    { fixture: 'bert-ort-attention', tolerance: 1e-5 },
    { fixture: 'bert-ort-mha', tolerance: 1e-5 },
    { fixture: 'bert-eager-ts-int8', tolerance: 0.1 },
  ])('$fixture: every head as the float32 graph holds it', async ({ fixture, tolerance }) => {
    const { ids } = idsOf(readTruth(fixture), 'input_ids');
    const opened = await open(fixture);
    const { kind, inspectionRefused } = await opened.load();
    expect([kind, inspectionRefused]).toEqual(['encoder', undefined]);
    const input = { kind: 'ids' as const, ids };
    const { inspectionId, stacks } = await opened.call('inspect', { input, priority: 'interactive' });
    expect(stacks).toMatchObject([{ name: 'encoder', isCausal: false, layers: 3, heads: 4 }]);
    const feeds = {
      input_ids: int64(ids),
      attention_mask: int64(ids.map(() => 1)),
      token_type_ids: int64(ids.map(() => 0)),
    };
    await expectMaps(opened, inspectionId, await heldAttention('bert-eager', feeds), tolerance);
  });

  it('all-MiniLM-L6-v2: its tokens, and the attention of its int8 weights near that of the float32 ones', async () => {
    engine = await openBrowserEngine({ model: 'all-MiniLM-L6-v2' });
    const { kind } = await engine.load();
    expect(kind).toBe('encoder');
    const { runs } = JSON.parse(readFileSync('test/fixtures/bundled/minilm.json', 'utf8')) as {
      runs: { text: string; ids: number[] }[];
    };
    for (const [run, { text, ids }] of runs.slice(0, 2).entries()) {
      const inspection = await engine.call('inspect', { input: { kind: 'text', text }, priority: 'interactive' });
      const { tokens } = inspection.encoded;
      expect(tokens.map(({ id }) => id)).toEqual(ids);
      expect(tokens.map(({ isSpecial }) => isSpecial)).toEqual(ids.map((id) => id === 101 || id === 102));
      expect(tokens.at(1)?.end).toBeGreaterThan(0);
      const { shape, data } = readNumpy(`test/fixtures/bundled/minilm_attention_${run}.npy`);
      const [layers = 0, heads = 0, n = 0] = shape;
      expect(inspection.stacks).toMatchObject([{ name: 'encoder', isCausal: false, layers, heads }]);
      let sum = 0;
      for (let layer = 0; layer < layers; layer++)
        for (let head = 0; head < heads; head++) {
          const { weights, isBidirectional } = await engine.call('attentionMap', {
            ...{ inspectionId: inspection.inspectionId },
            layer,
            head,
          });
          expect(isBidirectional).toBe(true);
          const start = (layer * heads + head) * n * n;
          for (const [i, weight] of weights.entries()) sum += Math.abs(weight - data[start + i]!);
        }
      // A head of another layer differs by 0.06 on average.
      expect(sum / data.length).toBeLessThan(0.008);
    }
  });

  it('answers a prompt with a sentence, and goes on', async () => {
    const opened = await open('bert-eager');
    await opened.load();
    const input = { kind: 'text' as const, text: 'the cat' };
    await expect(opened.call('score', { ids: [1, 2], priority: 'interactive', top: 1 })).rejects.toThrow(
      /is an encoder.*Choose another model/,
    );
    const messages = [{ role: 'user' as const, content: 'the cat' }];
    await expect(opened.call('encode', { input: { kind: 'chat', messages } })).rejects.toThrow(/is an encoder/);
    await expect(opened.call('inspectPicture', { bytes: new Uint8Array(3), priority: 'interactive' })).rejects.toThrow(
      /no pictures/,
    );
    const { encoded } = await opened.call('inspect', { input, priority: 'interactive' });
    expect(encoded.tokens.map(({ text }) => text)).toEqual(['[CLS]', ' the', ' cat', '[SEP]']);
    await expect(
      opened.call('inspect', { input: { kind: 'text', text: 'cat '.repeat(80) }, priority: 'interactive' }),
    ).rejects.toThrow('The text has 82 tokens, and this model reads up to 64');
  });
});

describe('encoder-decoders', () => {
  it.each(['marian-merged-sdpa-ts', 't5-merged-eager-ts', 't5-eager', 'bart-attention23', 'bart-ort-mha'])(
    '%s: encoder, decoder and cross attention as in PyTorch',
    async (fixture) => {
      const truth = readTruth(fixture);
      const opened = await open(fixture);
      const { kind, inspectionRefused } = await opened.load();
      expect([kind, inspectionRefused]).toEqual(['encoder-decoder', undefined]);
      const inspection = await opened.call('inspect', {
        input: idsOf(truth, 'input_ids'),
        target: idsOf(truth, 'decoder_input_ids'),
        priority: 'interactive',
      });
      await expectTruth(opened, inspection, truth);
    },
  );

  it.each(['t5-eager', 't5-merged-eager-ts'])('%s: the target is its greedy answer', async (fixture) => {
    const opened = await open(fixture);
    await opened.load();
    const { tappedBytes } = await opened.call('stats', undefined);
    expect(tappedBytes).toBe(0);
    const { encoded, target } = await opened.call('inspect', {
      input: { kind: 'text', text: 'the cat sat' },
      priority: 'interactive',
    });
    expect(encoded.tokens.map(({ text }) => text)).toEqual([' the', ' cat', ' sat', '</s>']);
    const ids = target?.tokens.map(({ id }) => id) ?? [];
    expect(ids).toEqual(
      await greedyAnswer(
        fixture,
        encoded.tokens.map(({ id }) => id),
        ids.length,
      ),
    );
  });

  it('a text of the user in place of the answer', async () => {
    const opened = await open('marian-merged-sdpa-ts');
    const { target, stacks, inspectionId } = await opened.call('inspect', {
      input: { kind: 'text', text: 'the cat sat' },
      target: { kind: 'text', text: 'a dog' },
      priority: 'interactive',
    });
    expect(target?.tokens.map(({ text }) => text)).toEqual(['<pad>', ' a', ' dog']);
    expect(stacks.map(({ name, queries, keys }) => [name, queries, keys])).toEqual([
      ['encoder', 'source', 'source'],
      ['decoder', 'target', 'target'],
      ['cross', 'target', 'source'],
    ]);
    const { pixels } = await opened.call('attentionThumbnails', { inspectionId, stack: 2, layers: [0, 1], size: 4 });
    expect(pixels).toHaveLength(2 * 3 * 16);
    const cross = await opened.call('attentionMap', { inspectionId, stack: 2, layer: 0, head: 0 });
    expect([cross.tokens, cross.keys, cross.isBidirectional]).toEqual([3, 4, true]);
    for (let query = 0; query < 3; query++)
      expect(cross.weights.slice(query * 4, query * 4 + 4).reduce((sum, one) => sum + one)).toBeCloseTo(1, 5);
  });
});

describe('vision models', () => {
  const [width, height] = [24, 24];
  const rgb = Uint8Array.from({ length: width * height * 3 }, (_, i) => (i * i * 7 + i * 31) % 256);
  const bytes = encodePng({ width, height, rgb });

  it.each(['vit-eager-ts', 'vit-attention23'])('%s: the patches of a picture', async (fixture) => {
    const opened = await open(fixture);
    const { kind, inspectionRefused } = await opened.load();
    expect([kind, inspectionRefused]).toEqual(['vision', undefined]);
    const { inspectionId, encoded, picture, stacks } = await opened.call('inspectPicture', {
      bytes,
      priority: 'interactive',
    });
    expect(picture).toMatchObject({ width, height, rows: 4, columns: 4, firstPatch: 1 });
    expect(encoded.tokens.map(({ text }) => text).slice(0, 6)).toEqual(['[CLS]', '0,0', '0,1', '0,2', '0,3', '1,0']);
    expect(Array.from(picture?.pixels.subarray(0, 8) ?? [])).toEqual([
      ...rgb.subarray(0, 3),
      255,
      ...rgb.subarray(3, 6),
      255,
    ]);
    expect(stacks).toMatchObject([{ name: 'encoder', isCausal: false, layers: 2, heads: 4 }]);
    const values = Float32Array.from({ length: rgb.length }, (_, i) => {
      const [channel, pixel] = [Math.floor(i / (width * height)), i % (width * height)];
      return (rgb[pixel * 3 + channel]! / 255 - 0.5) / 0.5;
    });
    const feeds = { pixel_values: new ort.Tensor('float32', values, [1, 3, height, width]) };
    await expectMaps(opened, inspectionId, await heldAttention('vit-eager-ts', feeds), 1e-5);
  });

  it('says what a text, a file that is no picture and a folder without its settings lack', async () => {
    const opened = await open('vit-eager-ts');
    await opened.load();
    const text = { kind: 'text' as const, text: 'the cat' };
    await expect(opened.call('inspect', { input: text, priority: 'interactive' })).rejects.toThrow(/reads no text/);
    await expect(opened.call('inspectPicture', { bytes: new Uint8Array(64), priority: 'interactive' })).rejects.toThrow(
      /cannot be read as a picture/,
    );
    await opened.close();
    const without = await open('vit-eager-ts', ['preprocessor_config.json']);
    await expect(without.load()).rejects.toThrow(/preprocessor_config.json is missing/);
  });
});

it('nothing is asked of a network', async () => {
  const opened = await open('marian-merged-sdpa-ts');
  await opened.load();
  await opened.call('inspect', { input: { kind: 'text', text: 'the cat' }, priority: 'interactive' });
  const elsewhere = opened.requests.filter((address) => !address.replace(/^blob:/, '').startsWith(opened.origin));
  expect(elsewhere).toEqual([]);
  expect(opened.problems).toEqual([]);
});

async function expectMaps(opened: Engine, inspectionId: number, expected: Float32Array[][], tolerance: number) {
  let largest = 0;
  for (const [layer, heads] of expected.entries())
    for (const [head, weights] of heads.entries()) {
      const map = await opened.call('attentionMap', { inspectionId, layer, head });
      expect(map.weights).toHaveLength(weights.length);
      for (const [i, weight] of map.weights.entries()) largest = Math.max(largest, Math.abs(weight - weights[i]!));
    }
  expect(largest).toBeLessThan(tolerance);
}

function int64(ids: readonly number[]): ort.Tensor {
  return new ort.Tensor('int64', BigInt64Array.from(ids, BigInt), [1, ids.length]);
}

/** Attention that the graph itself holds, [layer][head], of a run in Node. */
async function heldAttention(fixture: string, feeds: Record<string, ort.Tensor>): Promise<Float32Array[][]> {
  const { tapped, session, run } = await openTapped(readGraph(`${fixture}/model.onnx`), { probabilities: true });
  const results = await run(feeds);
  const heads = tapped.sites.map(({ program: _, ...held }) => {
    const read = capture(held, results, feeds)!;
    return Array.from({ length: read.heads }, (__, head) => read.map(0, head));
  });
  await session.release();
  expect(heads.length).toBeGreaterThan(0);
  return heads;
}

/** Without a cache, one token after the other, in Node. */
async function greedyAnswer(fixture: string, source: number[], count: number): Promise<number[]> {
  const encoder = await openTapped(readGraph(`${fixture}/encoder_model.onnx`));
  const attention = int64(source.map(() => 1));
  const { last_hidden_state: hidden } = await encoder.run({ input_ids: int64(source), attention_mask: attention });
  const file = fixture === 't5-eager' ? 'decoder_model.onnx' : 'decoder_model_merged.onnx';
  const decoder = await openTapped(readGraph(`${fixture}/${file}`));
  const ids = [0];
  while (ids.length < count) {
    const feeds: Record<string, ort.Tensor> = {
      input_ids: int64(ids),
      encoder_hidden_states: hidden!,
      encoder_attention_mask: attention,
    };
    for (const name of decoder.session.inputNames)
      if (name.startsWith('past')) feeds[name] = new ort.Tensor('float32', new Float32Array(0), [1, 3, 0, 8]);
    if (decoder.session.inputNames.includes('use_cache_branch'))
      feeds.use_cache_branch = new ort.Tensor('bool', Uint8Array.of(0), [1]);
    const { logits } = await decoder.run(feeds);
    const last = (logits!.data as Float32Array).subarray(-64);
    ids.push(last.indexOf(Math.max(...last)));
  }
  return ids;
}

function readGraph(file: string): Uint8Array {
  return new Uint8Array(readFileSync(`test/fixtures/attention/${file}`));
}

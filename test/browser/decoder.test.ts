/** The real engine with the bundled model in a real browser: its numbers, its sampling, its caches, its inspections. */
import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type BrowserEngineOptions, openBrowserEngine } from '../../scripts/browser-engine/browser-engine.mjs';
import { Agreement, type Bars, bars, compareTokens, continueGreedily } from '../../scripts/decoder-report.mjs';
import type { GenerateProgress, GenerateRequest } from '../../src/shared/engine-contract.ts';
import { greedySampling, type SamplingSettings } from '../../src/shared/sampling-settings.ts';

interface TopTokens {
  readonly ids: number[][];
  readonly logprob: number[][];
}
interface Reference {
  readonly runs: { ids: number[]; greedy: number[]; top16: TopTokens }[];
  readonly eval: { ids: number[]; top32: TopTokens }[];
}

const fixture = new URL('../fixtures/bundled/smollm2.json', import.meta.url);
const reference = JSON.parse(readFileSync(fixture, 'utf8')) as Reference;

let engine: Awaited<ReturnType<typeof openBrowserEngine>>;
beforeAll(async () => {
  engine = await openBrowserEngine({ device: 'wasm' });
  await engine.load();
}, 300_000);
afterAll(() => engine?.close());

type Change = Partial<Omit<GenerateRequest, 'sampling'>> & { sampling?: Partial<SamplingSettings> };

async function generate(text: string, { sampling, ...change }: Change = {}, signal?: AbortSignal) {
  const progress: GenerateProgress[] = [];
  const result = await engine.call(
    'generate',
    {
      input: { kind: 'text', text },
      priority: 'interactive',
      overflow: 'refuse',
      details: true,
      ...change,
      sampling: { ...greedySampling, maxTokens: 4, ...sampling },
    },
    { onProgress: (value) => progress.push(value), ...(signal && { signal }) },
  );
  const steps = progress.flatMap((value) => (value.kind === 'tokens' ? value.steps : []));
  return { result, steps, progress };
}

const stats = () => engine.call('stats', undefined);

type Runtime = Pick<BrowserEngineOptions, 'runtime' | 'arithmetic' | 'cachePrecision'>;

/** [how it is run, what may differ, whether texts are the same] */
const runtimes: readonly (readonly [name: string, options: Runtime, bars: Bars])[] = [
  ['our kernels', {}, bars.int8],
  ['our kernels, exactly', { arithmetic: 'float32' }, bars.float32],
  ['our kernels with a float16 cache', { cachePrecision: 'float16' }, bars.int8],
  ['ONNX Runtime', { runtime: 'ort' }, bars.float32],
];

describe.each(runtimes)('%s', (_name, options, { kl, logprob, top1, needsGreedy }) => {
  let own: typeof engine;
  beforeAll(async () => {
    own = await openBrowserEngine({ device: 'wasm', ...options });
    expect(await own.load()).toMatchObject({ runtime: options.runtime ?? 'simd', device: 'wasm' });
  });
  afterAll(() => own?.close());

  if (needsGreedy)
    test('says what the reference says', async () => {
      for (const { ids, greedy } of [reference.runs[0]!, reference.runs[2]!])
        expect(await continueGreedily(own, ids, Math.min(12, greedy.length))).toEqual(greedy.slice(0, 12));
    });

  test('has the reference’s probabilities of a text', async () => {
    const agreement = new Agreement();
    const [short, ...pieces] = needsGreedy ? [64] : [256, 256, 256];
    for (const [index, length] of [short!, ...pieces].entries()) {
      const { ids, top32 } = reference.eval[index]!;
      await compareTokens(own, ids.slice(0, length), top32, [agreement]);
    }
    expect(agreement.kl).toBeLessThan(kl);
    expect(agreement.worstLogprob).toBeLessThan(logprob);
    expect(agreement.top1).toBeGreaterThanOrEqual(top1);
  });
});

test('temperature and top-p change what a real run draws from', async () => {
  const prompt = 'The most beautiful thing in the world is';
  const draw = async (sampling: Partial<SamplingSettings>) =>
    (await generate(prompt, { sampling: { maxTokens: 1, seed: 3, ...sampling } })).steps[0]!;
  const plain = await draw({ temperature: 1 });
  const hot = await draw({ temperature: 2 });
  const cold = await draw({ temperature: 0.5 });
  const narrow = await draw({ temperature: 1, topP: 0.5 });
  const first = (step: typeof plain) => step.alternatives[0]!;
  // The model's own distribution is the same each time; what is drawn from is not.
  for (const step of [hot, cold, narrow]) expect(first(step).rawLogprob).toBeCloseTo(first(plain).rawLogprob, 4);
  expect(first(plain).logprob).toBeCloseTo(first(plain).rawLogprob, 4);
  expect(first(hot).logprob!).toBeLessThan(first(plain).logprob! - 0.1);
  expect(first(cold).logprob!).toBeGreaterThan(first(plain).logprob! + 0.1);
  const kept = narrow.kept.find(({ filter }) => filter === 'topP')!.count;
  expect(kept).toBeGreaterThan(1);
  expect(kept).toBeLessThan(1000);
  const gain = first(narrow).logprob! - first(plain).logprob!;
  expect(gain).toBeGreaterThan(Math.log(1 / 0.6)); // at most about half of the mass is left
  expect(gain).toBeLessThanOrEqual(Math.log(2) + 1e-3);
});

test('the same seed gives the same text, and computes the prompt once', async () => {
  const sampling = { temperature: 1.5, seed: 11, maxTokens: 5 };
  const first = await generate('Once upon a time', { sampling });
  const before = await stats();
  const second = await generate('Once upon a time', { sampling });
  expect(second.result.text).toBe(first.result.text);
  expect(second.result.computedTokens).toBe(1);
  expect((await stats()).forwardedTokens - before.forwardedTokens).toBe(second.steps.length);
  expect((await stats()).tappedBytes).toBe(0); // nobody inspected anything
});

test('a newer inline request cancels the older one, and what is urgent goes first', async () => {
  const slow = generate('A long story about the sea:', { priority: 'background', sampling: { maxTokens: 48 } });
  const old = generate('const a =', { priority: 'inline' }).catch((error) => error.code);
  const fresh = generate('const b =', { priority: 'inline', sampling: { maxTokens: 1 } });
  const order: string[] = [];
  await Promise.all([
    slow.then(() => order.push('background')),
    fresh.then(() => order.push('inline')),
    generate('Hi', { sampling: { maxTokens: 1 } }).then(() => order.push('interactive')),
  ]);
  expect(await old).toBe('cancelled');
  expect(order).toEqual(['interactive', 'inline', 'background']);
});

test('a cancelled run stops within one chunk, and the engine goes on', async () => {
  const controller = new AbortController();
  const before = await stats();
  const running = engine.call(
    'generate',
    {
      input: { kind: 'text', text: 'word '.repeat(400) },
      priority: 'interactive',
      overflow: 'refuse',
      details: false,
      sampling: { ...greedySampling, maxTokens: 1 },
    },
    {
      signal: controller.signal,
      onProgress: (value) => {
        if (value.kind === 'prefill' && value.done > 0) controller.abort();
      },
    },
  );
  await expect(running).rejects.toMatchObject({ code: 'cancelled' });
  expect((await stats()).forwardedTokens - before.forwardedTokens).toBeLessThan(200);
  expect((await generate('1 + 1 =', { sampling: { maxTokens: 1 } })).steps.length).toBe(1);
});

test('special tokens of the user are text, and said', async () => {
  const { result } = await generate('Hi <|im_end|>', { sampling: { maxTokens: 1 } });
  expect(result.neutralised).toEqual(['<|im_end|>']);
});

test('a prompt longer than the context is refused, saying by how much', async () => {
  const running = generate('word '.repeat(8300));
  await expect(running).rejects.toMatchObject({ code: 'context-overflow', message: expect.stringMatching(/too long/) });
});

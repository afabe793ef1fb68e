/** Times what one loaded model does. Every method leaves no cache behind; times are milliseconds. */
import type { Arithmetic, GenerateRequest } from '../../src/shared/engine-contract.ts';
import type { SamplingSettings } from '../../src/shared/sampling-settings.ts';
import { type AnswerParts, generateAnswer } from '../../webview/engine/decode/answer.ts';
import { prefill } from '../../webview/engine/decode/prefill.ts';
import { PrefixCache } from '../../webview/engine/decode/prefix-cache.ts';
import type { Cache, Decoder, ForwardOptions, ForwardResult } from '../../webview/engine/decoder.ts';
import { rankHeads } from '../../webview/engine/inspect/causal/head-ranking.ts';

const turn = { signal: new AbortController().signal, pause: async () => {} };

/** Every filter of the sampler is on. */
const allFilters: SamplingSettings = {
  ...{ temperature: 0.8, topK: 100, topP: 0.95, minP: 0.02 },
  ...{ repetitionPenalty: 1.1, frequencyPenalty: 0.2, presencePenalty: 0.1 },
  logitBias: { 11: -100, 500: 2, 7000: -3 },
  ...{ maxTokens: 1, stop: ['</answer>', '\n```\n'], seed: 1 },
};

export class SessionBench {
  readonly #parts: AnswerParts;

  constructor(parts: AnswerParts) {
    this.#parts = parts;
  }

  /** Prefill of the prompt, then greedy decoding without the sampler: the median of several times from there on. */
  async run(
    ids: readonly number[],
    { steps, repeats }: { steps: number; repeats: number },
  ): Promise<{ prefillMs: number; decodeMs: number }> {
    const { decoder } = this.#parts;
    const cache = decoder.createCache();
    const startedAt = performance.now();
    const logits = await prefill(decoder, cache, ids, { logits: 'last', turn });
    const prefillMs = performance.now() - startedAt;
    const times: number[] = [];
    for (let repeat = 0; repeat < repeats; repeat++) {
      times.push(await timed(() => decodeGreedily(decoder, cache, logits, steps)));
      cache.crop(ids.length);
    }
    cache.dispose();
    return { prefillMs, decodeMs: median(times) };
  }

  /** All heads by the divergence that each one's ablation makes; `isAlone`: without batches. */
  async ranking(
    ids: readonly number[],
    { positions, arithmetic, isAlone }: { positions: 'all' | 'last'; arithmetic: Arithmetic; isAlone: boolean },
  ): Promise<{ ms: number; forwardedTokens: number; heads: number }> {
    const { decoder } = this.#parts;
    const before = decoder.counters.forwardedTokens;
    const startedAt = performance.now();
    const ranking = await rankHeads(
      decoder,
      ids,
      { kind: 'zero', positions },
      { measure: { kind: 'kl' }, control: { sets: 8, seed: 1 }, modelId: '', runtime: '', arithmetic, isAlone },
    );
    const ms = performance.now() - startedAt;
    return { ms, forwardedTokens: decoder.counters.forwardedTokens - before, heads: ranking.entries.length };
  }

  /** A step of several sequences together against a step of one, in turns; null where the runtime has no batches. */
  async batch(
    ids: readonly number[],
    sequences: number,
    steps: number,
  ): Promise<{ oneMs: number; togetherMs: number } | null> {
    const { decoder } = this.#parts;
    if (!decoder.forwardBatch) return null;
    const prompt = decoder.createCache();
    await prefill(decoder, prompt, ids, { logits: 'none', turn });
    const caches = Array.from({ length: sequences }, () => prompt.fork());
    const [one, together]: [number[], number[]] = [[], []];
    for (let step = 0; step < steps; step++) {
      const tokens = (sequence: number) => [ids[(step + sequence) % ids.length] as number];
      one.push(await timed(() => decoder.forward(prompt, tokens(0), { logits: 'last' })));
      const items = caches.map((cache, sequence) => ({ cache, tokens: tokens(sequence) }));
      together.push(await timed(() => decoder.forwardBatch?.(items, { logits: 'last' }) as Promise<unknown>));
    }
    for (const cache of [prompt, ...caches]) cache.dispose();
    return { oneMs: median(one), togetherMs: median(together) };
  }

  /** A prompt of which all but the last `fresh` tokens are in the prefix cache, against one decode step there. */
  async prefix(
    ids: readonly number[],
    fresh: number,
    repeats: number,
  ): Promise<{ stepMs: number; prefixMs: number; reused: number }> {
    const { decoder } = this.#parts;
    const caches = new PrefixCache({ createCache: () => decoder.createCache() }, Number.MAX_VALUE);
    const first = caches.take(ids);
    await prefill(decoder, first.cache, ids, { logits: 'none', turn });
    caches.give(first.cache, ids);
    const [step, prefix]: [number[], number[]] = [[], []];
    let reused = 0;
    for (let repeat = 0; repeat < repeats; repeat++) {
      const asked = [...ids, ...Array.from({ length: fresh }, (_, i) => 2000 + repeat * fresh + i)];
      const startedAt = performance.now();
      const lease = caches.take(asked);
      reused = lease.reused;
      await prefill(decoder, lease.cache, asked.slice(reused), { logits: 'last', turn });
      prefix.push(performance.now() - startedAt);
      lease.cache.crop(ids.length);
      step.push(await timed(() => decoder.forward(lease.cache, [2000 + repeat], { logits: 'last' })));
      lease.cache.crop(ids.length);
      caches.give(lease.cache, ids);
    }
    caches.clear();
    return { stepMs: median(step), prefixMs: median(prefix), reused };
  }

  /** The whole decode loop with all filters on, over a decoder that answers at once with the model's own logits. */
  async sampler(ids: readonly number[], tokens: number, details: boolean): Promise<{ tokenMs: number }> {
    const { decoder, codec, spelling } = this.#parts;
    const cache = decoder.createCache();
    const rows: ForwardResult[] = [];
    for (const id of ids.slice(0, 8)) rows.push(await decoder.forward(cache, [id], { logits: 'last' }));
    cache.dispose();
    const instant = answerAtOnce(decoder, rows);
    const parts = { decoder: instant, codec, spelling, caches: new PrefixCache(instant, 1), endIds: new Set<number>() };
    const request: GenerateRequest = {
      input: { kind: 'ids', ids: [...ids] },
      sampling: { ...allFilters, maxTokens: tokens },
      ...{ priority: 'interactive', overflow: 'refuse', details, speculation: false },
    };
    const result = await generateAnswer(parts, request, {
      ...{ turn, onProgress: () => {}, freshSeed: () => 1, queuedMs: 0 },
    });
    return { tokenMs: result.decodeMs / result.generatedTokens };
  }

  /** What the runtime holds with a cache of these tokens. */
  async memory(ids: readonly number[]): Promise<{ wasmBytes: number | null; cacheBytes: number }> {
    const { decoder } = this.#parts;
    const cache = decoder.createCache();
    await prefill(decoder, cache, ids, { logits: 'none', turn });
    const cacheBytes = cache.sizeBytes;
    cache.dispose();
    return { wasmBytes: decoder.counters.wasmBytes ?? null, cacheBytes };
  }

  /** Bytes of weights that one decoded token reads, where the runtime tells. */
  weightBytesRead(): number | null {
    const counters: Decoder['counters'] & { readonly weightBytesRead?: number } = this.#parts.decoder.counters;
    return counters.weightBytesRead ?? null;
  }
}

async function decodeGreedily(decoder: Decoder, cache: Cache, first: Float32Array, steps: number): Promise<void> {
  let logits = first;
  for (let step = 0; step < steps; step++)
    logits = (await decoder.forward(cache, [largest(logits)], { logits: 'last' })).logits;
}

function largest(logits: Float32Array): number {
  let best = 0;
  for (let id = 1; id < logits.length; id++) if ((logits[id] as number) > (logits[best] as number)) best = id;
  return best;
}

function answerAtOnce(decoder: Decoder, rows: readonly ForwardResult[]): Decoder {
  let at = 0;
  const { layers, heads, kvHeads, headDim, vocabSize, contextLength, device, attention } = decoder;
  const forward = async (cache: Cache, tokens: readonly number[], { logits }: ForwardOptions) => {
    (cache as InstantCache).length += tokens.length;
    const count = logits === 'all' ? tokens.length : logits === 'last' ? 1 : 0;
    const row = () => rows[at++ % rows.length] as ForwardResult;
    if (count === 1) return row();
    const all = Array.from({ length: count }, row).flatMap((one) => [...one.logits]);
    return { logits: Float32Array.from(all), taps: [] };
  };
  return {
    ...{ layers, heads, kvHeads, headDim, vocabSize, contextLength, device, attention },
    ...{ hasGates: false, maxChunk: contextLength, counters: { forwardedTokens: 0, tappedBytes: 0 } },
    createCache: () => new InstantCache(),
    forward,
    dispose: async () => {},
  };
}

class InstantCache implements Cache {
  length = 0;
  readonly sizeBytes = 0;

  crop(length: number): void {
    this.length = length;
  }

  fork(): InstantCache {
    const fork = new InstantCache();
    fork.length = this.length;
    return fork;
  }

  dispose(): void {}
}

async function timed(work: () => Promise<unknown>): Promise<number> {
  const startedAt = performance.now();
  await work();
  return performance.now() - startedAt;
}

function median(values: readonly number[]): number {
  return [...values].sort((a, b) => a - b)[values.length >> 1] ?? 0;
}

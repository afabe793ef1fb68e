/** Our own decode loop: prompt to answer, token by token, with everything that was considered at each. */
import type {
  GenerateProgress,
  GenerateRequest,
  GenerateResult,
  TokenStep,
} from '../../../src/shared/engine-contract.ts';
import { type Draw, Sampler } from '../../../src/shared/sampling/sampler.ts';
import { TokenHistory } from '../../../src/shared/sampling/token-history.ts';
import type { Decoder } from '../decoder.ts';
import type { TextCodec } from '../text/text-codec.ts';
import { TextStream } from '../text/text-stream.ts';
import { Healing, type SpellingTable } from './healing.ts';
import { prefill } from './prefill.ts';
import type { PrefixCache } from './prefix-cache.ts';
import { fitPrompt } from './prompt-fit.ts';
import type { Turn } from './scheduler.ts';
import { StepQueue } from './step-queue.ts';
import { StopScanner } from './stop-scanner.ts';

/** What an answer is made with: one loaded model. */
export interface AnswerParts {
  readonly decoder: Decoder;
  readonly codec: TextCodec;
  readonly caches: PrefixCache;
  /** Tokens that end an answer. */
  readonly endIds: ReadonlySet<number>;
  readonly spelling: () => SpellingTable;
}

export interface AnswerOptions {
  readonly turn: Turn;
  readonly onProgress: (progress: GenerateProgress) => void;
  /** Used when the settings have none. */
  readonly freshSeed: () => number;
  readonly queuedMs: number;
}

type Finish = GenerateResult['finish'];

/** @throws AppError `cancelled`, `context-overflow`, `bad-input`, or `engine-failed` when the runtime threw. */
export async function generateAnswer(
  parts: AnswerParts,
  request: GenerateRequest,
  options: AnswerOptions,
): Promise<GenerateResult> {
  const { decoder, codec, caches, endIds } = parts;
  const { turn, onProgress, queuedMs } = options;
  const { sampling, heal } = request;
  const startedAt = performance.now();
  const continuation = withoutEnd(request.continuation ?? [], endIds);
  const prompt = fitPrompt((input) => codec.encode(input), {
    input: request.input,
    continuation,
    overflow: request.overflow,
    maxTokens: sampling.maxTokens,
    contextLength: decoder.contextLength,
  });
  const ids = [...prompt.ids, ...continuation];
  const promptTokens = ids.length;
  const seed = sampling.seed ?? options.freshSeed();
  const sampler = new Sampler(sampling, seed, decoder.vocabSize);
  const history = new TokenHistory(prompt.ids, continuation);
  const healing = heal ? new Healing(parts.spelling(), heal) : undefined;
  const writer = new AnswerWriter(codec, ids.slice(-8), sampling.stop);

  const { cache, reused } = caches.take(ids);
  let isUsable = true;
  try {
    const rest = ids.slice(reused);
    const report = (done: number) => onProgress({ kind: 'prefill', done, total: rest.length, reused });
    let logits = await prefill(decoder, cache, rest, { logits: 'last', turn, onProgress: report });
    const prefilledAt = performance.now();
    let firstTokenAt: number | undefined;
    let finish: Finish | undefined;
    while (!finish) {
      const draw = sampler.draw(logits, { history, allowed: healing?.allowed(), details: request.details });
      firstTokenAt ??= performance.now();
      healing?.spelled(codec.tokenBytes[draw.id] ?? new Uint8Array(0));
      history.add(draw.id);
      ids.push(draw.id);
      const steps = writer.write(draw);
      if (endIds.has(draw.id)) finish = 'end';
      else if (writer.isStopped) finish = 'stop';
      else if (ids.length - promptTokens >= sampling.maxTokens) finish = 'length';
      else if (ids.length >= decoder.contextLength) finish = 'context';
      if (finish) steps.push(...writer.end());
      if (steps.length > 0) onProgress({ kind: 'tokens', steps });
      if (finish) break;
      await turn.pause();
      logits = (await decoder.forward(cache, [draw.id], { logits: 'last', signal: turn.signal })).logits;
    }
    const endedAt = performance.now();
    return {
      text: writer.text,
      finish: finish ?? 'length',
      seed,
      promptTokens,
      cutTokens: prompt.cutTokens,
      reusedTokens: reused,
      computedTokens: rest.length,
      generatedTokens: ids.length - promptTokens,
      queuedMs,
      prefillMs: prefilledAt - startedAt,
      firstTokenMs: (firstTokenAt ?? endedAt) - startedAt,
      decodeMs: endedAt - prefilledAt,
      neutralised: prompt.neutralised,
    };
  } catch (thrown) {
    isUsable = turn.signal.aborted; // after a failure of the runtime nobody knows what the cache holds
    throw thrown;
  } finally {
    if (isUsable) caches.give(cache, ids);
    else caches.discard(cache);
  }
}

/** An answer that had ended is continued before its end. */
function withoutEnd(ids: readonly number[], endIds: ReadonlySet<number>): readonly number[] {
  const last = ids.at(-1);
  return last !== undefined && endIds.has(last) ? ids.slice(0, -1) : ids;
}

/** Turns draws into steps with text and byte positions. */
class AnswerWriter {
  readonly #codec: TextCodec;
  readonly #stream: TextStream;
  readonly #scanner: StopScanner;
  readonly #queue: StepQueue;
  #bytes = 0;

  /** `before`: the tokens before the answer; the last may have left a character unfinished. */
  constructor(codec: TextCodec, before: readonly number[], stops: readonly string[]) {
    this.#codec = codec;
    this.#stream = new TextStream(Uint8Array.from(before.flatMap((id) => [...(codec.tokenBytes[id] ?? [])])));
    this.#scanner = new StopScanner(stops);
    this.#queue = new StepQueue(this.#scanner);
  }

  get text(): string {
    return this.#scanner.text;
  }

  get isStopped(): boolean {
    return this.#scanner.stopAt !== undefined;
  }

  write(draw: Draw): TokenStep[] {
    const bytes = this.#codec.tokenBytes[draw.id] ?? new Uint8Array(0);
    const startByte = this.#bytes;
    this.#bytes += bytes.length;
    return this.#queue.push({
      id: draw.id,
      text: this.#stream.push(bytes),
      startByte,
      endByte: this.#bytes,
      rawLogprob: draw.rawLogprob,
      logprob: draw.logprob,
      entropy: draw.entropy,
      alternatives: draw.alternatives.map((one) => ({ ...one, text: this.#codec.textOf(one.id) })),
      kept: [...draw.kept],
    });
  }

  /** A character that is unfinished at the end is left out: a continuation will finish it. */
  end(): TokenStep[] {
    return this.#queue.end();
  }
}

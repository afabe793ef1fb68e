/** Our own decode loop: prompt to answer, token by token, with everything that was considered at each. */
import type { GenerateProgress, GenerateRequest, GenerateResult } from '../../../src/shared/engine-contract.ts';
import { Sampler } from '../../../src/shared/sampling/sampler.ts';
import { TokenHistory } from '../../../src/shared/sampling/token-history.ts';
import type { Decoder } from '../decoder.ts';
import type { TextCodec } from '../text/text-codec.ts';
import { AnswerWriter } from './answer-writer.ts';
import { Drafter } from './drafter.ts';
import { Healing, type SpellingTable } from './healing.ts';
import { PassTimes } from './pass-times.ts';
import { prefill } from './prefill.ts';
import type { PrefixCache } from './prefix-cache.ts';
import { fitPrompt } from './prompt-fit.ts';
import type { Turn } from './scheduler.ts';
import { TokenPasses } from './token-passes.ts';

/** What an answer is made with: one loaded model. */
export interface AnswerParts {
  readonly decoder: Decoder;
  readonly codec: TextCodec;
  readonly caches: PrefixCache;
  /** Tokens that end an answer. */
  readonly endIds: ReadonlySet<number>;
  readonly spelling: () => SpellingTable;
  /** Kept with the model, so that an answer need not learn anew when drafts pay. */
  readonly times?: PassTimes;
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
  const times = parts.times ?? new PassTimes(decoder.batchedCost, decoder.tokensTogether);
  const drafter = createDrafter(parts, { request, ids, times });

  const { cache, reused } = caches.take(ids);
  let isUsable = true;
  let passes: TokenPasses | undefined;
  try {
    const rest = ids.slice(reused);
    const report = (done: number) => onProgress({ kind: 'prefill', done, total: rest.length, reused });
    const logits = await prefill(decoder, cache, rest, { logits: 'last', turn, onProgress: report, times });
    passes = new TokenPasses(logits, { decoder, cache, turn, times, drafter });
    const prefilledAt = performance.now();
    let firstTokenAt: number | undefined;
    let finish: Finish | undefined;
    while (!finish) {
      const draw = sampler.draw(passes.logits, {
        ...{ history, allowed: healing?.allowed(), details: request.details, distribution: passes.distribution },
      });
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
      if (finish) passes.settle(draw.id);
      else await passes.advance(draw.id, promptTokens + sampling.maxTokens - ids.length);
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
      ...(drafter && { draftedTokens: drafter.draftedTokens, acceptedTokens: drafter.acceptedTokens }),
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
    if (isUsable) {
      passes?.settle();
      caches.give(cache, ids);
    } else caches.discard(cache);
  }
}

/** An answer that had ended is continued before its end. */
function withoutEnd(ids: readonly number[], endIds: ReadonlySet<number>): readonly number[] {
  const last = ids.at(-1);
  return last !== undefined && endIds.has(last) ? ids.slice(0, -1) : ids;
}

interface DraftingOptions {
  readonly request: GenerateRequest;
  readonly ids: readonly number[];
  readonly times: PassTimes;
}

function createDrafter({ endIds, codec }: AnswerParts, { request, ids, times }: DraftingOptions): Drafter | undefined {
  const { speculation, priority, sampling } = request;
  if (!(speculation ?? priority === 'inline')) return undefined;
  const hasStop = (id: number) => sampling.stop.some((stop) => codec.textOf(id).includes(stop));
  return new Drafter(ids, { times, isLast: (id) => endIds.has(id) || hasStop(id) });
}

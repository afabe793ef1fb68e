/** Draws the next token from raw logits, and says what it drew it from. */
import type { SamplingSettings } from '../sampling-settings.ts';
import { Candidates } from './candidates.ts';
import { type Distribution, describeLogits, topIds } from './distribution.ts';
import { filters } from './filters.ts';
import { expBelow } from './passes.ts';
import { createRandom, type Random } from './random.ts';
import type { TokenHistory } from './token-history.ts';

export interface Draw {
  readonly id: number;
  /** Natural logarithm of the probability before any filter, and after all of them. */
  readonly rawLogprob: number;
  readonly logprob: number;
  /** Of the raw distribution, in nats. */
  readonly entropy: number;
  /** The 10 most probable tokens before filtering; `logprob` is absent for those that were filtered out. */
  readonly alternatives: readonly { readonly id: number; readonly rawLogprob: number; readonly logprob?: number }[];
  /** How many tokens each filter that is on left, in the order in which they act. */
  readonly kept: readonly { readonly filter: string; readonly count: number }[];
}

export interface DrawOptions {
  readonly history: TokenHistory;
  /** Ascending ids; only these may be drawn. At least one of them must have a finite logit. */
  readonly allowed?: readonly number[] | undefined;
  /** Fill `alternatives` and `kept`. */
  readonly details: boolean;
  /** Of these logits, where the runtime has told. */
  readonly distribution?: Distribution | undefined;
}

const alternativeCount = 10;

export class Sampler {
  readonly #settings: SamplingSettings;
  readonly #random: Random;
  readonly #candidates: Candidates;

  constructor(settings: SamplingSettings, seed: number, vocabSize: number) {
    this.#settings = settings;
    this.#random = createRandom(seed);
    this.#candidates = new Candidates(vocabSize);
  }

  /** @param logits [vocabSize], left as they are */
  draw(logits: Float32Array, { history, allowed, details, distribution }: DrawOptions): Draw {
    const raw = distribution ?? describeLogits(logits);
    const candidates = this.#candidates;
    const context = { settings: this.#settings, history, allowed };
    candidates.fill(logits, raw);
    const kept: { filter: string; count: number }[] = [];
    for (const filter of filters) {
      if (!filter.isOn(context)) continue;
      filter.apply(candidates, context);
      if (candidates.count === 0) keepBest(candidates, logits, allowed);
      if (details) kept.push({ filter: filter.name, count: candidates.count });
    }
    const logTotal = candidates.logTotal();
    const chosen = this.#choose(logTotal);
    const id = candidates.ids[chosen] as number;
    return {
      id,
      rawLogprob: (logits[id] as number) - raw.logTotal,
      logprob: (candidates.scores[chosen] as number) - logTotal,
      entropy: raw.entropy,
      alternatives: details ? this.#alternatives(logits, raw.logTotal, logTotal) : [],
      kept,
    };
  }

  #choose(logTotal: number): number {
    const { scores, count } = this.#candidates;
    if (count === 1) return 0;
    const max = this.#candidates.bestScore();
    const total = Math.exp(logTotal - max);
    let left = this.#random.next();
    for (let i = 0; i < count; i++) {
      left -= expBelow((scores[i] as number) - max) / total;
      if (left < 0) return i;
    }
    return this.#candidates.best(); // rounding left a crumb
  }

  #alternatives(logits: Float32Array, rawTotal: number, logTotal: number): Draw['alternatives'] {
    return topIds(logits, alternativeCount).map((id) => {
      const rawLogprob = (logits[id] as number) - rawTotal;
      const index = this.#candidates.indexOf(id);
      if (index < 0) return { id, rawLogprob };
      return { id, rawLogprob, logprob: (this.#candidates.scores[index] as number) - logTotal };
    });
  }
}

/** Everything is filtered out (every token forbidden, say): the best that may come stays, there is always an answer. */
function keepBest(candidates: Candidates, logits: Float32Array, allowed: readonly number[] | undefined): void {
  candidates.fill(logits);
  if (allowed) candidates.keepIds(allowed);
  if (candidates.count === 0) candidates.fill(logits);
  candidates.keepOnly(candidates.best());
}

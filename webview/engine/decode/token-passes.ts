/**
 * The logits behind each token of an answer, from as few passes through the model as it takes: with a drafter, a pass
 * reads the next token and a guess at those after it, and the guess counts for as far as the tokens that are drawn are
 * the guessed ones (Leviathan et al. 2023, arXiv:2211.17192: for a guess without probabilities of its own, drawing from
 * the model's distribution and comparing is the exact form of their test). Each token is drawn from the logits that a
 * pass of its own would give, with the same random numbers: the text for a seed is the same as without drafts. Where a
 * runtime rounds the logits of a longer pass differently, a near tie may fall the other way.
 */
import type { Distribution } from '../../../src/shared/sampling/distribution.ts';
import type { Cache, Decoder, ForwardResult } from '../decoder.ts';
import type { Drafter } from './drafter.ts';
import type { PassTimes } from './pass-times.ts';
import type { Turn } from './scheduler.ts';

export interface TokenPassesParts {
  readonly decoder: Pick<Decoder, 'forward' | 'vocabSize' | 'contextLength' | 'maxChunk'>;
  /** Holds the prompt. */
  readonly cache: Cache;
  readonly turn: Turn;
  readonly times: PassTimes;
  readonly drafter?: Drafter | undefined;
}

export class TokenPasses {
  readonly #parts: TokenPassesParts;
  #draft: readonly number[] = [];
  /** Of the last pass: [1 + draft, vocabSize]. */
  #logits: Float32Array;
  #distributions: ForwardResult['distributions'];
  /** Tokens of the draft that came. */
  #accepted = 0;
  /** Tokens in the cache that are no guess, or were until they came. */
  #held: number;

  /** `logits`: those behind the last token of the prompt, [vocabSize]. */
  constructor(logits: Float32Array, parts: TokenPassesParts) {
    this.#logits = logits;
    this.#parts = parts;
    this.#held = parts.cache.length;
  }

  /** Logits for the next token, [vocabSize]. Overwritten by `advance`. */
  get logits(): Float32Array {
    const { vocabSize } = this.#parts.decoder;
    return this.#logits.subarray(this.#accepted * vocabSize, (this.#accepted + 1) * vocabSize);
  }

  /** Of those logits, where the runtime has told. */
  get distribution(): Distribution | undefined {
    return this.#distributions?.[this.#accepted];
  }

  /**
   * The answer goes on with `id`.
   * @param room the most tokens that may be wanted after it
   * @throws AppError as `Decoder.forward` does, and `cancelled`
   */
  async advance(id: number, room: number): Promise<void> {
    const { decoder, cache, turn, times, drafter } = this.#parts;
    drafter?.add(id);
    if (this.#takeDrafted(id)) return;
    this.settle();
    await turn.pause();
    const most = Math.min(room - 1, decoder.maxChunk - 1, decoder.contextLength - cache.length - 1);
    const draft = drafter?.draft(most) ?? [];
    const logits = draft.length > 0 ? 'all' : 'last';
    const startedAt = performance.now();
    const result = await decoder.forward(cache, [id, ...draft], { logits, signal: turn.signal });
    times.note(1 + draft.length, performance.now() - startedAt);
    this.#logits = result.logits;
    this.#distributions = result.distributions;
    this.#draft = draft;
    this.#held++;
  }

  /** No more of the last draft will come, at most the token `last`: the cache forgets the rest. */
  settle(last?: number): void {
    const { cache, drafter } = this.#parts;
    if (last !== undefined) this.#takeDrafted(last);
    if (this.#draft.length > 0) drafter?.verified(this.#draft.length, this.#accepted);
    this.#draft = [];
    this.#accepted = 0;
    if (cache.length > this.#held) cache.crop(this.#held);
  }

  #takeDrafted(id: number): boolean {
    if (this.#draft[this.#accepted] !== id) return false;
    this.#accepted++;
    this.#held++;
    return true;
  }
}

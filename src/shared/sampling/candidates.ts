/**
 * The tokens that are still in the running, with their scores, in the order of their ids. Filters shrink it in place.
 * One instance serves a whole answer, so that nothing of the size of a vocabulary is allocated per token.
 */
import type { Distribution } from './distribution.ts';
import { keepWithin, largest, limitOfTop, rescale, sumExps } from './passes.ts';

/** More than the rounding of a score to float32, twice. */
const rounding = 2 ** -21;

export class Candidates {
  /** The first `count` are in the running. */
  readonly ids: Int32Array;
  readonly #scores: Float32Array;
  /** What the scores, less the best of them, are still to be divided by: few of them may live to see it. */
  #divisor: number | undefined;
  #count = 0;
  /** The largest score, while it is known. */
  #bestScore: number | undefined;
  /** 0, 1, 2, ... */
  readonly #everyId: Int32Array;

  constructor(vocabSize: number) {
    this.#everyId = Int32Array.from({ length: vocabSize }, (_, id) => id);
    this.ids = Int32Array.from(this.#everyId);
    this.#scores = new Float32Array(vocabSize);
  }

  /** The first `count` are in the running. */
  get scores(): Float32Array {
    this.#divide();
    return this.#scores;
  }

  get count(): number {
    return this.#count;
  }

  /**
   * Takes every token in; those with a logit of -Infinity are out from the start.
   * @param known of these logits
   */
  fill(logits: Float32Array, known?: Pick<Distribution, 'max' | 'hasImpossible'>): void {
    this.ids.set(this.#everyId);
    this.#count = logits.length;
    this.#bestScore = known?.max;
    this.#divisor = undefined;
    this.#scores.set(logits);
    if (known?.hasImpossible ?? logits.includes(-Infinity)) this.keepAtLeast(-Number.MAX_VALUE);
  }

  /** Keeps the tokens that have at least this score; of those that have just this, the first `ties`. */
  keepAtLeast(least: number, ties = Infinity): void {
    this.narrow(least);
    this.#count = keepWithin(this.scores, this.ids, this.#count, { least, ties });
  }

  /** May take out tokens with a lower score, where that spares work: those that the next filters are sure to take out. */
  narrow(least: number): void {
    if (this.#divisor === undefined) return;
    const below = least * this.#divisor;
    const limit = this.#largest() + below - Math.abs(below) * rounding;
    this.#count = keepWithin(this.#scores, this.ids, this.#count, { least: limit, ties: Infinity });
  }

  /** Keeps the k best, the first of equal ones. */
  keepBest(k: number): void {
    if (this.#divisor !== undefined) {
      const { least } = limitOfTop(this.#scores, this.#count, k);
      this.narrow((least - this.#largest()) / this.#divisor);
    }
    const { least, ties } = limitOfTop(this.scores, this.#count, k);
    this.keepAtLeast(least, ties);
  }

  /** Keeps those of the ids given that are in the running. Ascending. */
  keepIds(wanted: readonly number[]): void {
    const { scores } = this;
    let count = 0;
    for (const id of wanted) {
      const index = this.indexOf(id);
      if (index < 0 || (count > 0 && this.ids[count - 1] === id)) continue;
      this.ids[count] = id;
      scores[count++] = scores[index] as number;
    }
    this.#bestScore = undefined;
    this.#count = count;
  }

  /** Takes out those of the ids given that are in the running. Ascending. */
  dropIds(unwanted: readonly number[]): void {
    const { scores } = this;
    const gaps = unwanted.map((id) => this.indexOf(id)).filter((index) => index >= 0);
    if (gaps.some((index) => scores[index] === this.#bestScore)) this.#bestScore = undefined;
    let count = gaps[0] ?? this.#count;
    for (const [i, gap] of gaps.entries()) {
      const next = gaps[i + 1] ?? this.#count;
      this.ids.copyWithin(count, gap + 1, next);
      scores.copyWithin(count, gap + 1, next);
      count += next - gap - 1;
    }
    this.#count = count;
  }

  keepOnly(index: number): void {
    const { scores } = this;
    this.ids[0] = this.ids[index] as number;
    scores[0] = scores[index] as number;
    this.#bestScore = scores[0];
    this.#count = 1;
  }

  /** Where a token is, or -1. */
  indexOf(id: number): number {
    // It stands at most as far before place `id` as there are tokens missing.
    let low = Math.max(0, id - (this.ids.length - this.#count));
    let high = Math.min(this.#count - 1, id);
    while (low <= high) {
      const middle = (low + high) >> 1;
      const found = this.ids[middle] as number;
      if (found === id) return middle;
      if (found < id) low = middle + 1;
      else high = middle - 1;
    }
    return -1;
  }

  /** Gives a token another score, if it is in the running. */
  change(id: number, change: (score: number) => number): void {
    const index = this.indexOf(id);
    if (index < 0) return;
    const { scores } = this;
    const before = scores[index] as number;
    scores[index] = change(before);
    if (this.#bestScore === undefined) return;
    const after = scores[index] as number;
    if (after >= this.#bestScore) this.#bestScore = after;
    else if (before === this.#bestScore) this.#bestScore = undefined;
  }

  /** (score - best score) / temperature: relative to the best, so that a temperature near 0 does not overflow. */
  temper(temperature: number): void {
    this.#divide();
    this.#divisor = temperature;
  }

  bestScore(): number {
    return this.#divisor === undefined ? this.#largest() : 0;
  }

  #divide(): void {
    if (this.#divisor === undefined) return;
    rescale(this.#scores, this.#count, this.#largest(), this.#divisor);
    this.#divisor = undefined;
    this.#bestScore = 0;
  }

  /** Of the scores as they are kept. */
  #largest(): number {
    this.#bestScore ??= largest(this.#scores, this.#count);
    return this.#bestScore;
  }

  /** Index of the largest score; the lowest id of several. */
  best(): number {
    return this.scores.indexOf(this.bestScore());
  }

  /** log of the sum of exp(score): subtracting it turns scores into log-probabilities. */
  logTotal(): number {
    const max = this.bestScore();
    return max + Math.log(sumExps(this.scores, this.#count, max).sum);
  }
}

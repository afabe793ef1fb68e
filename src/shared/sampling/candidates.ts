/**
 * The tokens that are still in the running, with their scores, in the order of their ids. Filters shrink it in place.
 * One instance serves a whole answer, so that nothing of the size of a vocabulary is allocated per token.
 */
export class Candidates {
  /** The first `count` are in the running. */
  readonly ids: Int32Array;
  readonly scores: Float32Array;
  count = 0;

  constructor(vocabSize: number) {
    this.ids = new Int32Array(vocabSize);
    this.scores = new Float32Array(vocabSize);
  }

  /** Takes every token in; those with a logit of -Infinity are out from the start. */
  fill(logits: Float32Array): void {
    let count = 0;
    for (let id = 0; id < logits.length; id++) {
      const score = logits[id] as number;
      if (score === -Infinity) continue;
      this.ids[count] = id;
      this.scores[count++] = score;
    }
    this.count = count;
  }

  keep(isKept: (score: number, id: number, index: number) => boolean): void {
    let count = 0;
    for (let i = 0; i < this.count; i++) {
      const score = this.scores[i] as number;
      const id = this.ids[i] as number;
      if (!isKept(score, id, i)) continue;
      this.ids[count] = id;
      this.scores[count++] = score;
    }
    this.count = count;
  }

  /** Where a token is, or -1. */
  indexOf(id: number): number {
    let low = 0;
    let high = this.count - 1;
    while (low <= high) {
      const middle = (low + high) >> 1;
      const found = this.ids[middle] as number;
      if (found === id) return middle;
      if (found < id) low = middle + 1;
      else high = middle - 1;
    }
    return -1;
  }

  /** Index of the largest score; the lowest id of several. */
  best(): number {
    let best = 0;
    for (let i = 1; i < this.count; i++) if ((this.scores[i] as number) > (this.scores[best] as number)) best = i;
    return best;
  }

  keepOnly(index: number): void {
    this.ids[0] = this.ids[index] as number;
    this.scores[0] = this.scores[index] as number;
    this.count = 1;
  }

  /** log of the sum of exp(score): subtracting it turns scores into log-probabilities. */
  logTotal(): number {
    const max = this.scores[this.best()] as number;
    let sum = 0;
    for (let i = 0; i < this.count; i++) {
      const below = (this.scores[i] as number) - max;
      if (below > negligible) sum += Math.exp(below);
    }
    return max + Math.log(sum);
  }
}

/** exp of this is nothing beside 1, however many there are. */
const negligible = -50;

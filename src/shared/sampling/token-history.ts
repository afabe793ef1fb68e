/** Which tokens came before, for the penalties: all of them for repetition, those of the answer for the two others. */
export class TokenHistory {
  readonly seen = new Set<number>();
  readonly answerCounts = new Map<number, number>();

  constructor(prompt: readonly number[], answer: readonly number[] = []) {
    for (const id of prompt) this.seen.add(id);
    for (const id of answer) this.add(id);
  }

  /** A token of the answer. */
  add(id: number): void {
    this.seen.add(id);
    this.answerCounts.set(id, (this.answerCounts.get(id) ?? 0) + 1);
  }
}

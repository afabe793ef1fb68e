/**
 * How long to wait after a keystroke before the model is asked: nearly not at all while it answers between two
 * keystrokes, else until the typing has probably paused.
 */

const shortestMs = 30;
const longestMs = 400;
/** A longer silence is a pause, not the pace of typing. */
const pauseMs = 1500;
const weightOfNewest = 0.3;

export class TypingPace {
  #lastKeyAt: number | undefined;
  #gapMs = 200;
  #answerMs = 1000;

  keyPressed(nowMs: number): void {
    const gap = nowMs - (this.#lastKeyAt ?? Number.NEGATIVE_INFINITY);
    this.#lastKeyAt = nowMs;
    if (gap < pauseMs) this.#gapMs += weightOfNewest * (gap - this.#gapMs);
  }

  answered(tookMs: number): void {
    this.#answerMs += weightOfNewest * (tookMs - this.#answerMs);
  }

  get delayMs(): number {
    if (this.#answerMs < this.#gapMs) return shortestMs;
    return Math.min(longestMs, Math.max(shortestMs, 1.25 * this.#gapMs));
  }
}

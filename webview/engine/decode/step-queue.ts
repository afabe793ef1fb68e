/** Hands out the steps of an answer as soon as their text is certain, so that the texts together are the answer. */
import type { TokenStep } from '../../../src/shared/engine-contract.ts';
import type { StopScanner } from './stop-scanner.ts';

const encoder = new TextEncoder();

export class StepQueue {
  readonly #scanner: StopScanner;
  readonly #waiting: { readonly step: TokenStep; readonly end: number }[] = [];
  #length = 0;

  constructor(scanner: StopScanner) {
    this.#scanner = scanner;
  }

  /** Adds a step and returns those that are certain now. */
  push(step: TokenStep): TokenStep[] {
    this.#length += step.text.length;
    this.#waiting.push({ step, end: this.#length });
    this.#scanner.push(step.text);
    return this.#scanner.stopAt === undefined ? this.#release(this.#scanner.safeLength) : this.#cut();
  }

  /** No more will come: returns all that is left. */
  end(): TokenStep[] {
    if (this.#scanner.stopAt !== undefined) return this.#cut();
    this.#scanner.end();
    return this.#waiting.splice(0).map(({ step }) => step);
  }

  /** The steps whose text is certain; those that only began a character wait for the one that ends it. */
  #release(safeLength: number): TokenStep[] {
    let count = this.#waiting.findIndex(({ end }) => end > safeLength);
    if (count < 0) count = this.#waiting.length;
    while (count > 0 && isUnfinished(this.#waiting[count - 1]?.step)) count--;
    return this.#waiting.splice(0, count).map(({ step }) => step);
  }

  /** A stop string is complete: the step in which it begins keeps what comes before it, those after it go. */
  #cut(): TokenStep[] {
    const stopAt = this.#scanner.stopAt ?? this.#length;
    const cutStep = this.#waiting.findIndex(({ end }) => end > stopAt);
    const cut = this.#waiting[cutStep];
    const text = cut?.step.text.slice(0, Math.max(0, stopAt - (cut.end - cut.step.text.length)));
    const steps = cut && text ? this.#waiting.slice(0, cutStep).map(({ step }) => step) : this.#release(stopAt);
    if (cut && text) steps.push({ ...cut.step, text });
    this.#waiting.length = 0;
    // A token may reach beyond the answer now, with its text or with the beginning of a character.
    const answerBytes = encoder.encode(this.#scanner.text).length;
    return steps.map((step) => ({ ...step, endByte: Math.min(step.endByte, answerBytes) }));
  }
}

function isUnfinished(step: TokenStep | undefined): boolean {
  return step !== undefined && step.text === '' && step.endByte > step.startByte;
}

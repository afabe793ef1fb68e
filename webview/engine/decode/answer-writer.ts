/** Turns draws into the steps of an answer, with text and byte positions, and ends it at a stop string. */
import type { TokenStep } from '../../../src/shared/engine-contract.ts';
import type { Draw } from '../../../src/shared/sampling/sampler.ts';
import type { TextCodec } from '../text/text-codec.ts';
import { TextStream } from '../text/text-stream.ts';
import { StepQueue } from './step-queue.ts';
import { StopScanner } from './stop-scanner.ts';

export class AnswerWriter {
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

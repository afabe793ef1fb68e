/** A small but real implementation of Decoder: continues what it was given with what followed in its one text. */
import { cancelled } from '../../../src/shared/app-error.ts';
import type { Cache, Decoder, ForwardOptions } from '../../../webview/engine/decoder.ts';

class NgramCache implements Cache {
  ids: number[];
  isDisposed = false;
  constructor(ids: number[] = []) {
    this.ids = ids;
  }
  get length(): number {
    return this.ids.length;
  }
  get sizeBytes(): number {
    return this.ids.length * 1000;
  }
  crop(length: number): void {
    if (length > this.ids.length) throw new RangeError('Too short.');
    this.ids.length = length;
  }
  fork(): Cache {
    return new NgramCache([...this.ids]);
  }
  dispose(): void {
    this.isDisposed = true;
  }
}

const longestContext = 6;

export class NgramDecoder implements Decoder {
  readonly layers = 1;
  readonly heads = 1;
  readonly kvHeads = 1;
  readonly headDim = 1;
  readonly device = 'wasm';
  readonly hasGates = false;
  readonly attention = { refused: 'There is no attention in a table.' };
  readonly counters = { forwardedTokens: 0, tappedBytes: 0 };
  readonly vocabSize: number;
  readonly contextLength: number;
  readonly maxChunk: number;
  /** Called with the tokens of every run. */
  onForward: (tokens: readonly number[]) => void = () => {};
  readonly #text: readonly number[];

  constructor(
    text: readonly number[],
    { vocabSize = 49_152, contextLength = 400, maxChunk = 8 }: Partial<NgramDecoder> = {},
  ) {
    this.#text = text;
    this.vocabSize = vocabSize;
    this.contextLength = contextLength;
    this.maxChunk = maxChunk;
  }

  createCache(): Cache {
    return new NgramCache();
  }

  async forward(cache: Cache, tokens: readonly number[], { logits, signal }: ForwardOptions) {
    if (signal?.aborted) throw cancelled();
    if (tokens.length > this.maxChunk) throw new Error('Too many tokens at once.');
    this.onForward(tokens);
    this.counters.forwardedTokens += tokens.length;
    const { ids } = cache as NgramCache;
    const rows: Float32Array[] = [];
    for (const token of tokens) {
      ids.push(token);
      rows.push(this.#predict(ids));
    }
    const wanted = logits === 'all' ? rows : logits === 'last' ? rows.slice(-1) : [];
    const flat = new Float32Array(wanted.length * this.vocabSize);
    for (const [i, row] of wanted.entries()) flat.set(row, i * this.vocabSize);
    return { logits: flat, taps: [] };
  }

  async dispose(): Promise<void> {}

  /** What followed the longest end of `ids` that the text has; the longer it is, the surer. */
  #predict(ids: readonly number[]): Float32Array {
    const logits = new Float32Array(this.vocabSize).fill(-8);
    for (let at = 1; at < this.#text.length; at++) {
      let shared = 0;
      while (shared < longestContext && shared < at && this.#text[at - 1 - shared] === ids.at(-1 - shared)) shared++;
      const next = this.#text[at] as number;
      logits[next] = Math.max(logits[next] as number, shared * 2);
    }
    return logits;
  }
}

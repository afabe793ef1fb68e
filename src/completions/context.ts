/**
 * What the model reads of a document: the last tokens before the cursor, from the start of a line.
 *
 * While somebody types, the start stays where it is until the text has grown by half: all that was computed for the
 * tokens before is then used again.
 */
import type { engineMethods, Token } from '../shared/engine-contract.ts';
import type { Caller } from '../shared/peer.ts';

export interface ContextOptions {
  readonly limitTokens: number;
  readonly signal?: AbortSignal | undefined;
}

/** More characters than so many tokens of any usual text have; what is cut here is never within the limit. */
const charactersPerToken = 8;
/** So much of a text's beginning is enough to know it again. */
const knownByCharacters = 200;

export class ContextWindow {
  readonly #engine: Caller<typeof engineMethods>;
  #last: string | undefined;

  constructor(engine: Caller<typeof engineMethods>) {
    this.#engine = engine;
  }

  /** The end of `text` that is to be read; `text` ends where the model is to go on. */
  async choose(text: string, options: ContextOptions): Promise<string> {
    const chosen = (await this.#keepStart(text, options)) ?? (await this.#startAnew(text, options));
    this.#last = chosen;
    return chosen;
  }

  async #keepStart(text: string, options: ContextOptions): Promise<string | undefined> {
    if (!this.#last) return undefined;
    const start = findStart(text, this.#last);
    if (start === undefined) return undefined;
    const kept = text.slice(start);
    if (kept.length > options.limitTokens * charactersPerToken * 2) return undefined;
    const { length } = await this.#encode(kept, options);
    const isTooShort = start > 0 && length < options.limitTokens / 2;
    return isTooShort || length > options.limitTokens * 1.5 ? undefined : kept;
  }

  async #startAnew(text: string, options: ContextOptions): Promise<string> {
    const { limitTokens } = options;
    for (let characters = limitTokens * charactersPerToken; ; characters *= 2) {
      const tail = text.slice(-characters);
      const tokens = await this.#encode(tail, options);
      const isWhole = tail.length === text.length;
      if (tokens.length > limitTokens || isWhole) return tail.slice(startWithin(tail, tokens, limitTokens, isWhole));
    }
  }

  async #encode(text: string, { signal }: ContextOptions): Promise<readonly Token[]> {
    const encoded = await this.#engine.call('encode', { input: { kind: 'text', text } }, { signal });
    return encoded.tokens;
  }
}

/** Where the text that began `last` stands in `text`, when it still begins a line there. */
function findStart(text: string, last: string): number | undefined {
  const start = text.lastIndexOf(last.slice(0, knownByCharacters));
  if (start < 0 || (start > 0 && text[start - 1] !== '\n')) return undefined;
  return start;
}

/** The first line start with at most `limit` tokens after it; within the last line, the first token that fits. */
function startWithin(text: string, tokens: readonly Token[], limit: number, isWhole: boolean): number {
  if (tokens.length <= limit) return isWhole ? 0 : text.indexOf('\n') + 1;
  const firstThatFits = tokens[tokens.length - limit]!.start;
  // A line break is often one token with the indentation after it, which then is a token of its own.
  const lineStart = text.indexOf('\n', Math.max(0, firstThatFits - 1)) + 1;
  return lineStart > 0 && lineStart < text.length ? lineStart : firstThatFits;
}

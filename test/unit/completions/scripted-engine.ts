/** An engine that tokenises by words and answers what it is told, when it is told. */
import { cancelled } from '../../../src/shared/app-error.ts';
import type { engineMethods, GenerateRequest, GenerateResult, Token } from '../../../src/shared/engine-contract.ts';
import type { Caller, CallOptions } from '../../../src/shared/peer.ts';

type Methods = typeof engineMethods;

export function wordTokens(text: string): Token[] {
  return [...text.matchAll(/ ?[\p{L}\p{N}]+| ?[^\s\p{L}\p{N}]+|\n|\s/gu)].map(({ 0: word, index }, id) => ({
    id,
    text: word,
    start: index,
    end: index + word.length,
    isSpecial: false,
  }));
}

/** A generation under way: `write` streams what the model says, `finish` ends the line, `fail` the run. */
export interface ScriptedRun {
  readonly request: GenerateRequest;
  readonly signal: AbortSignal | undefined;
  write(text: string): void;
  finish(text: string, finish?: GenerateResult['finish']): void;
  fail(error: Error): void;
}

export class ScriptedEngine implements Caller<Methods> {
  readonly runs: ScriptedRun[] = [];
  readonly encoded: string[] = [];
  readonly #arrivals: ((run: ScriptedRun) => void)[] = [];
  /** Answers at once, when there is one. */
  readonly #answer: ((request: GenerateRequest) => string) | undefined;

  constructor(answer?: (request: GenerateRequest) => string) {
    this.#answer = answer;
  }

  nextRun(): Promise<ScriptedRun> {
    return new Promise((resolve) => this.#arrivals.push(resolve));
  }

  call = (async (method: string, params: never, options: CallOptions<never> = {}) => {
    if (method === 'encode') return this.#encode(params);
    if (method === 'generate') return this.#generate(params, options as CallOptions<unknown>);
    throw new Error(`There is no ${method} here.`);
  }) as Caller<Methods>['call'];

  #encode({ input }: { input: { text: string } }) {
    this.encoded.push(input.text);
    return { text: input.text, tokens: wordTokens(input.text), neutralised: [] };
  }

  #generate(request: GenerateRequest, { signal, onProgress }: CallOptions<unknown>): Promise<GenerateResult> {
    return new Promise((resolve, reject) => {
      signal?.addEventListener('abort', () => reject(cancelled()));
      const run: ScriptedRun = {
        request,
        signal,
        write: (text) => onProgress?.({ kind: 'tokens', steps: [{ text }] }),
        finish: (text, finish = 'stop') => resolve({ text, finish } as GenerateResult),
        fail: reject,
      };
      this.runs.push(run);
      if (this.#answer) run.finish(this.#answer(request));
      this.#arrivals.shift()?.(run);
    });
  }
}

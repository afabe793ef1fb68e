/** An engine whose answers are written down: tokens are words, and it can die on demand. */
import { AppError } from '../../../src/shared/app-error.ts';
import type { engineMethods, PromptInput, TokenStep } from '../../../src/shared/engine-contract.ts';
import type { Caller, CallOptions } from '../../../src/shared/peer.ts';

export interface Call {
  readonly method: string;
  readonly params: unknown;
}

export function readInput(input: PromptInput): string {
  if (input.kind === 'text') return input.text;
  return input.kind === 'ids' ? '' : input.messages.map(({ role, content }) => `<${role}>${content}`).join('');
}

/** Tokens are runs of white space and of anything else. */
function splitTokens(text: string) {
  return [...text.matchAll(/\s+|\S+/g)].map(({ 0: part, index }, id) => ({
    id,
    text: part,
    start: index,
    end: index + part.length,
    isSpecial: false,
  }));
}

function createStep(id: number, text: string): TokenStep {
  const rest = { startByte: 0, endByte: 0, rawLogprob: 0, logprob: 0, entropy: 0, alternatives: [], kept: [] };
  return { id, text, ...rest };
}

export interface Script {
  /** The text of each token; its id is its index. */
  readonly answer: readonly string[];
  /** Dies before this token, once each. */
  readonly diesBefore?: number[];
}

export class ScriptedEngine implements Caller<typeof engineMethods> {
  readonly calls: Call[] = [];
  readonly #script: Script;

  constructor(script: Script) {
    this.#script = script;
  }

  call(method: string, params: unknown, options: CallOptions<never> = {}): Promise<never> {
    this.calls.push({ method, params });
    const answer =
      method === 'encode' ? this.#encode(params as { input: PromptInput }) : this.#generate(params, options);
    return answer as Promise<never>;
  }

  async #encode({ input }: { input: PromptInput }) {
    const text = readInput(input);
    return { text, tokens: splitTokens(text), neutralised: text.match(/<\|\w+\|>/g) ?? [] };
  }

  async #generate(params: unknown, { onProgress }: CallOptions<never>) {
    const { continuation = [] } = params as { continuation?: number[] };
    const tell = onProgress as unknown as ((progress: unknown) => void) | undefined;
    tell?.({ kind: 'queued', ahead: 1 });
    tell?.({ kind: 'prefill', done: 4, total: 8, reused: 2 });
    const { answer, diesBefore } = this.#script;
    for (let id = continuation.length; id < answer.length; id++) {
      if (diesBefore?.[0] === id) {
        diesBefore.shift();
        throw new AppError('engine-died', 'The engine stopped.');
      }
      tell?.({ kind: 'tokens', steps: [createStep(id, answer[id] as string)] });
    }
    return { finish: 'end' };
  }
}

/** A controller of the playground that answers by script: the page's partner in tests and pictures. No model. */
import { AppError } from '../../../src/shared/app-error.ts';
import type { GenerateProgress, PromptInput, TokenStep } from '../../../src/shared/engine-contract.ts';
import type { EngineState } from '../../../src/shared/engine-state.ts';
import type { HandlerContext, Handlers, Params } from '../../../src/shared/peer.ts';
import type { Draft, DraftSummary, Opening, playgroundHostContract } from '../../../src/shared/playground-contract.ts';

type Host = typeof playgroundHostContract;
type GenerateParams = Params<Host, 'generate'>;

const readyState: EngineState = {
  kind: 'ready',
  model: {
    modelId: 'scripted',
    modelName: 'SmolLM2-135M-Instruct',
    kind: 'decoder',
    device: 'wasm',
    deviceReason: 'There is no WebGPU adapter.',
    runtime: 'ort',
    runtimeReason: 'ONNX Runtime.',
    layers: 30,
    heads: 9,
    kvHeads: 3,
    headDim: 64,
    vocabSize: 49152,
    contextLength: 8192,
    weightsBytes: 118_000_000,
    loadMs: 1500,
    hasChatTemplate: true,
  },
};

export interface Script {
  engine: EngineState;
  /** The words of every answer. */
  words: string[];
  /** Between two tokens; 0 sends one after the other. */
  tokenMs: number;
  /** Tokens in one message, as a fast engine sends them. */
  burst: number;
  prefill: { done: number; total: number; reused: number }[];
  prefillMs: number;
  /** Thrown after so many tokens. */
  failAt?: { token: number; error: AppError };
  recent: DraftSummary[];
  opening?: Opening;
}

export class ScriptedPlayground {
  readonly script: Script = {
    engine: readyState,
    words: ['Paris', ' is', ' the', ' capital', ' of', ' France', '.'],
    tokenMs: 0,
    burst: 1,
    prefill: [{ done: 12, total: 12, reused: 24 }],
    prefillMs: 0,
    recent: [],
  };
  /** Every call, in order. */
  readonly calls: { method: string; params: unknown }[] = [];
  readonly drafts = new Map<string, Draft>();

  get generated(): GenerateParams[] {
    return this.calls.filter(({ method }) => method === 'generate').map(({ params }) => params as GenerateParams);
  }

  readonly handlers: Handlers<Host> = {
    ready: () => {
      const { engine, recent, opening } = this.script;
      return { engine, recent, ...(opening ? { opening } : {}) };
    },
    loadDraft: ({ id }) => this.drafts.get(id),
    saveDraft: ({ draft }) => void this.drafts.set(draft.id, draft) as undefined,
    deleteDraft: ({ id }) => this.#without(id),
    listDrafts: () => this.script.recent,
    startEngine: () => this.#note('startEngine', undefined),
    showLog: () => this.#note('showLog', undefined),
    encode: ({ input }) => encode(input),
    stats: () => ({ wasmBytes: 412_000_000, cacheBytes: 12_000_000, caches: 2, forwardedTokens: 36, tappedBytes: 0 }),
    generate: (params, context) => this.#generate(params, context),
    copyText: (params) => this.#note('copyText', params),
    insertText: (params) => {
      this.#note('insertText', params);
      return 'Inserted into letter.md.';
    },
    inspect: (params) => this.#note('inspect', params),
  };

  #note(method: string, params: unknown): undefined {
    this.calls.push({ method, params });
  }

  #without(id: string): DraftSummary[] {
    this.script.recent = this.script.recent.filter((one) => one.id !== id);
    return this.script.recent;
  }

  async #generate(params: GenerateParams, { signal, progress }: HandlerContext<GenerateProgress>) {
    this.#note('generate', params);
    const { words, tokenMs, burst, prefill, prefillMs, failAt } = this.script;
    for (const step of prefill) {
      progress({ kind: 'prefill', ...step });
      await pause(prefillMs, signal);
    }
    const count = Math.min(words.length, params.sampling.maxTokens);
    let byte = 0;
    const steps: TokenStep[] = [];
    for (let at = 0; at < count; at++) {
      if (failAt?.token === at) throw failAt.error;
      await pause(tokenMs, signal);
      const step = scriptStep(words[at]!, at, byte);
      byte = step.endByte;
      steps.push(step);
      if (steps.length >= burst || at === count - 1) progress({ kind: 'tokens', steps: steps.splice(0) });
    }
    if (failAt?.token === count) throw failAt.error;
    const last = prefill.at(-1) ?? { total: 0, reused: 0 };
    return {
      text: words.slice(0, count).join(''),
      finish: count < words.length ? ('length' as const) : ('end' as const),
      seed: params.sampling.seed ?? 123_456_789,
      promptTokens: last.total + last.reused,
      cutTokens: params.overflow === 'cut-start' ? 100 : 0,
      reusedTokens: last.reused,
      computedTokens: last.total,
      generatedTokens: count,
      queuedMs: 0,
      prefillMs: 260,
      firstTokenMs: 420,
      decodeMs: count * 380,
      neutralised: [],
    };
  }
}

/** A step with a made-up but consistent distribution: the probability falls and rises along the answer. */
export function scriptStep(text: string, at: number, startByte = 0): TokenStep {
  const probability = [0.93, 0.42, 0.07, 0.68, 0.985, 0.2, 0.55][at % 7]!;
  const others = [' London', ' a', '\n', ' it', ' "', ' one', ' city', ' known', '…'].filter((other) => other !== text);
  const share = (rank: number) => (1 - probability) * 0.5 ** (rank + 1);
  const listed = [{ text, p: probability }, ...others.map((other, rank) => ({ text: other, p: share(rank) }))];
  const kept = listed.filter(({ p }) => p > 0.02).reduce((sum, { p }) => sum + p, 0);
  return {
    id: 1000 + at,
    text,
    startByte,
    endByte: startByte + new TextEncoder().encode(text).length,
    rawLogprob: Math.log(probability),
    logprob: Math.log(probability / kept),
    entropy: 3 * (1 - probability),
    alternatives: listed
      .sort((a, b) => b.p - a.p)
      .map((one) => ({
        id: one.text === text ? 1000 + at : 2000 + others.indexOf(one.text),
        text: one.text,
        rawLogprob: Math.log(one.p),
        ...(one.p > 0.02 ? { logprob: Math.log(one.p / kept) } : {}),
      })),
    kept: [
      { filter: 'temperature', count: 49_152 },
      { filter: 'topP', count: listed.filter(({ p }) => p > 0.02).length },
    ],
  };
}

/** A stand-in for the chat template and the tokenizer: a token is a word with the space before it. */
function encode(input: PromptInput) {
  const special = /(<\|im_start\|>|<\|im_end\|>)/;
  const tokens: { id: number; text: string; start: number; end: number; isSpecial: boolean }[] = [];
  let text = '';
  const add = (part: string, isSpecial: boolean) => {
    for (const one of isSpecial ? [part] : (part.match(/ ?[^\s]+|\s/g) ?? [])) {
      tokens.push({ id: one.length, text: one, start: text.length, end: text.length + one.length, isSpecial });
      text += one;
    }
  };
  const neutralised: string[] = [];
  if (input.kind === 'text') add(input.text, false);
  if (input.kind === 'chat') {
    for (const { role, content } of input.messages) {
      neutralised.push(...(content.match(new RegExp(special, 'g')) ?? []));
      add('<|im_start|>', true);
      add(`${role}\n${content}`, false);
      add('<|im_end|>', true);
      add('\n', false);
    }
    add('<|im_start|>', true);
    add('assistant\n', false);
  }
  return { text, tokens, neutralised };
}

function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const stop = () => reject(new AppError('cancelled', 'Cancelled.'));
    if (signal.aborted) return stop();
    if (ms === 0) return resolve();
    setTimeout(resolve, ms);
    signal.addEventListener('abort', stop, { once: true });
  });
}

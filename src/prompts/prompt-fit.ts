/** Finds out whether a prompt fits the model's context, and cuts its material at the start when it is asked to. */
import type { EncodedPrompt, engineMethods, PromptInput } from '../shared/engine-contract.ts';
import type { Caller } from '../shared/peer.ts';

export interface FitOptions {
  readonly contextLength: number;
  readonly maxTokens: number;
  readonly signal?: AbortSignal | undefined;
}

export interface PromptFit {
  readonly input: PromptInput;
  readonly promptTokens: number;
  /** Tokens that the prompt may have, so that there is room for an answer. */
  readonly limit: number;
  /** How many tokens too long it is; 0 when it fits. */
  readonly over: number;
  /** Special tokens that the user typed, read as text. */
  readonly neutralised: readonly string[];
  readonly encoded: EncodedPrompt;
}

type Engine = Caller<typeof engineMethods>;

export async function measurePrompt(engine: Engine, input: PromptInput, options: FitOptions): Promise<PromptFit> {
  const { contextLength, maxTokens, signal } = options;
  const encoded = await engine.call('encode', { input }, { signal });
  const limit = contextLength - Math.min(maxTokens, Math.floor(contextLength / 4));
  const promptTokens = encoded.tokens.length;
  const over = Math.max(0, promptTokens - limit);
  return { input, promptTokens, limit, over, neutralised: encoded.neutralised, encoded };
}

export function describeOverflow({ promptTokens, limit, over }: PromptFit): string {
  const number = (value: number) => value.toLocaleString('en');
  return (
    `The prompt is ${number(over)} tokens too long: it has ${number(promptTokens)}, and the model reads at most ` +
    `${number(limit)} with room for an answer. Cut the start of your text, or select less.`
  );
}

/** A line start so near after the cut is worth the few characters more. */
const nearEnough = 200;
const mostRounds = 8;

/**
 * Drops as much of the material's start as is needed, up to the next line where one is near, and measures again.
 * Undefined when the prompt does not fit without any material either.
 */
export async function cutToFit(
  engine: Engine,
  build: (material: string) => PromptInput,
  material: string,
  options: FitOptions,
): Promise<PromptFit | undefined> {
  let rest = material;
  for (let round = 0; round < mostRounds && rest !== ''; round++) {
    const fit = await measurePrompt(engine, build(rest), options);
    if (fit.over === 0) return fit;
    rest = cutStart(rest, fit);
  }
  return undefined;
}

function cutStart(material: string, { encoded, over }: PromptFit): string {
  const at = encoded.text.indexOf(material);
  const first = encoded.tokens.findIndex((token) => at >= 0 && token.start >= at);
  const next = encoded.tokens[first + over];
  // A template may change the text (trim it, say): then the share of tokens decides.
  const share = Math.ceil((material.length * over) / Math.max(1, encoded.tokens.length));
  const cut = first >= 0 && next !== undefined ? Math.max(1, next.start - at) : Math.max(1, share);
  const lineBreak = material.indexOf('\n', cut - 1);
  const isNear = lineBreak >= 0 && lineBreak - cut < nearEnough && lineBreak + 1 < material.length;
  return material.slice(isNear ? lineBreak + 1 : cut);
}

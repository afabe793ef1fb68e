/**
 * One answer, from the first token to the last, over as many attempts as it takes: when the engine dies in the middle,
 * the next `run` goes on behind the tokens that came.
 */
import type { engineMethods, GenerateProgress, PromptInput, TokenStep } from '../shared/engine-contract.ts';
import type { Caller } from '../shared/peer.ts';
import type { SamplingSettings } from '../shared/sampling-settings.ts';

/** What happens now, for the person who waits. */
export type RunStage =
  | { readonly kind: 'queued'; readonly ahead: number }
  | { readonly kind: 'reading'; readonly done: number; readonly total: number; readonly reused: number }
  | { readonly kind: 'writing'; readonly tokens: number; readonly tokensPerSecond: number | undefined };

export interface RunOptions {
  readonly signal: AbortSignal;
  readonly onText: (text: string) => void;
  readonly onStage: (stage: RunStage) => void;
}

export interface RunRequest {
  readonly input: PromptInput;
  readonly sampling: SamplingSettings;
  /** Code repeats itself: guessing ahead pays. */
  readonly isCode?: boolean;
}

export type RunFinish = 'end' | 'stop' | 'length' | 'context';

export class PromptRun {
  readonly request: RunRequest;
  readonly #engine: Caller<typeof engineMethods>;
  readonly #now: () => number;
  /** Tokens whose text is out, and after them those of an unfinished character. */
  #ids: number[] = [];
  #whole = 0;
  #text = '';

  constructor(engine: Caller<typeof engineMethods>, request: RunRequest, now: () => number = () => performance.now()) {
    this.#engine = engine;
    this.request = request;
    this.#now = now;
  }

  get text(): string {
    return this.#text;
  }

  /** The tokens of `text`. */
  get ids(): readonly number[] {
    return this.#ids.slice(0, this.#whole);
  }

  /** Goes on from an answer that began elsewhere, before a reload for instance. */
  resume(ids: readonly number[], text: string): void {
    this.#ids = [...ids];
    this.#whole = ids.length;
    this.#text = text;
  }

  async run({ signal, onText, onStage }: RunOptions): Promise<RunFinish> {
    this.#ids = this.#ids.slice(0, this.#whole); // an unfinished character comes again
    const { input, sampling, isCode = false } = this.request;
    const maxTokens = sampling.maxTokens - this.#ids.length;
    if (maxTokens <= 0) return 'length';
    const rate = createRate(this.#now);
    const { finish } = await this.#engine.call(
      'generate',
      {
        input,
        ...(this.#ids.length > 0 ? { continuation: [...this.#ids] } : {}),
        sampling: { ...sampling, maxTokens },
        priority: 'interactive',
        overflow: 'refuse',
        details: false,
        speculation: isCode,
      },
      { signal, onProgress: (progress) => this.#progress(progress, rate, { onText, onStage }) },
    );
    return finish;
  }

  #progress(progress: GenerateProgress, rate: Rate, { onText, onStage }: Omit<RunOptions, 'signal'>): void {
    if (progress.kind === 'queued') return onStage(progress);
    if (progress.kind === 'prefill') return onStage({ ...progress, kind: 'reading' });
    const text = this.#keep(progress.steps);
    onStage({ kind: 'writing', tokens: this.#ids.length, tokensPerSecond: rate(progress.steps.length) });
    if (text !== '') onText(text);
  }

  #keep(steps: readonly TokenStep[]): string {
    let added = '';
    for (const { id, text } of steps) {
      this.#ids.push(id);
      added += text;
      if (text !== '') this.#whole = this.#ids.length;
    }
    this.#text += added;
    return added;
  }
}

type Rate = (tokens: number) => number | undefined;

/** Tokens a second since the first batch, which says nothing about the speed itself. */
function createRate(now: () => number): Rate {
  let startedAt: number | undefined;
  let counted = 0;
  return (tokens) => {
    if (startedAt === undefined) {
      startedAt = now();
      return undefined;
    }
    counted += tokens;
    const seconds = (now() - startedAt) / 1000;
    return seconds > 0 ? counted / seconds : undefined;
  };
}

export function describeStage(stage: RunStage): string {
  if (stage.kind === 'queued')
    return stage.ahead === 0
      ? 'Waiting for the model'
      : `Waiting: ${stage.ahead} ${stage.ahead === 1 ? 'request' : 'requests'} ahead`;
  if (stage.kind === 'reading') {
    const known = stage.reused > 0 ? ` (${stage.reused} known already)` : '';
    return `Reading the prompt: ${stage.done} of ${stage.total} tokens${known}`;
  }
  const speed = stage.tokensPerSecond === undefined ? '' : `, ${stage.tokensPerSecond.toFixed(1)} tokens/s`;
  return `Writing: ${stage.tokens} ${stage.tokens === 1 ? 'token' : 'tokens'}${speed}`;
}

/** A sentence about special tokens that the user typed, or undefined when there were none. */
export function describeNeutralised(neutralised: readonly string[]): string | undefined {
  if (neutralised.length === 0) return undefined;
  const names = [...new Set(neutralised)];
  // Short: what has no button is shown on one line.
  return `${names.join(', ')} ${names.length === 1 ? 'was read as text, not as a control word.' : 'were read as text, not as control words.'}`;
}

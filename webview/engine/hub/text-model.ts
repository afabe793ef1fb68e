/** Texts through an encoder, or through an encoder-decoder and its own greedy answer or the one that it is given. */
import { StoppingCriteria, Tensor } from '@huggingface/transformers';
import * as v from 'valibot';
import { AppError, throwIfAborted } from '../../../src/shared/app-error.ts';
import type { EncodedPrompt, PromptInput } from '../../../src/shared/engine-contract.ts';
import type { TextCodec } from '../text/text-codec.ts';
import { type SortedStacks, sortIntoStacks } from './attention-stacks.ts';
import type { HubInputs, HubModel } from './hub-model.ts';

export interface RunWatch {
  readonly signal: AbortSignal;
  readonly onProgress: (done: number, total: number) => void;
}

export interface InspectedRun extends SortedStacks {
  readonly encoded: EncodedPrompt;
  readonly target?: EncodedPrompt;
  readonly sizeBytes: number;
}

/** An answer is not longer than this, so that a model that repeats itself comes to an end. */
const mostAnswerTokens = 256;

const id = v.pipe(v.number(), v.integer(), v.minValue(0));
const startSchema = v.looseObject({
  decoder_start_token_id: v.fallback(v.nullish(id), undefined),
  bos_token_id: v.fallback(v.nullish(id), undefined),
  pad_token_id: v.fallback(v.nullish(id), undefined),
  max_position_embeddings: v.fallback(v.nullish(id), undefined),
  n_positions: v.fallback(v.nullish(id), undefined),
  model_type: v.fallback(v.nullish(v.string()), undefined),
});
type TextConfig = v.InferOutput<typeof startSchema>;

/** Positions of these start behind the padding token's: two of the table serve no token. */
const startsBehindPadding = /^(roberta|xlm-roberta|camembert|mpnet|longformer)/;

export interface TextModelOptions {
  readonly hub: HubModel;
  readonly codec: TextCodec;
  readonly config: Readonly<Record<string, unknown>>;
  readonly isPair: boolean;
}

export class TextModel {
  readonly #hub: HubModel;
  readonly #codec: TextCodec;
  readonly #config: TextConfig;
  readonly #isPair: boolean;

  constructor({ hub, codec, config, isPair }: TextModelOptions) {
    this.#hub = hub;
    this.#codec = codec;
    this.#config = v.parse(startSchema, config);
    this.#isPair = isPair;
  }

  /** Tokens that one run takes. */
  get contextLength(): number {
    const { max_position_embeddings: positions, n_positions: t5, model_type: type } = this.#config;
    const length = positions ?? t5 ?? 512;
    return startsBehindPadding.test(type ?? '') ? length - 2 : length;
  }

  /** With what the model's tokenizer puts before and after a text. */
  encode(input: PromptInput): EncodedPrompt {
    return this.#codec.encodeWhole(input);
  }

  /** A run of every graph, for the check at load. */
  async probe(): Promise<void> {
    const source = inputsOf(idsOf(this.encode({ kind: 'text', text: 'A short probe: 1, 2, 3.' })));
    await this.#hub.forward(this.#isPair ? { ...source, decoder_input_ids: tensorOf([this.#startId, 1, 0]) } : source);
  }

  /** @throws AppError `context-overflow`, `bad-input`, `cancelled`. */
  async inspect(input: PromptInput, target: PromptInput | undefined, watch: RunWatch): Promise<InspectedRun> {
    const encoded = this.encode(input);
    const ids = idsOf(encoded);
    this.#requireFit(ids.length);
    const source = inputsOf(ids);
    if (!this.#isPair) {
      const { parts, sizeBytes } = await this.#hub.watch(() => this.#hub.forward(source));
      return { encoded, sizeBytes, ...sortIntoStacks(parts, { source: ids.length, target: 0 }) };
    }
    const answer = target ? this.#encodeTarget(target) : await this.#generate(source, ids.length, watch);
    const targetIds = idsOf(answer);
    this.#requireFit(targetIds.length);
    throwIfAborted(watch.signal);
    const { parts, sizeBytes } = await this.#hub.watch(() =>
      this.#hub.forward({ ...source, decoder_input_ids: tensorOf(targetIds) }),
    );
    const lengths = { source: ids.length, target: targetIds.length };
    return { encoded, target: answer, sizeBytes, ...sortIntoStacks(parts, lengths) };
  }

  get #startId(): number {
    const { decoder_start_token_id: start, bos_token_id: bos, pad_token_id: pad } = this.#config;
    return start ?? bos ?? pad ?? 0;
  }

  #encodeTarget(target: PromptInput): EncodedPrompt {
    const encoded = this.#codec.encode(target);
    if (target.kind === 'ids') return encoded;
    const [start] = this.#codec.encode({ kind: 'ids', ids: [this.#startId] }).tokens;
    return { ...encoded, tokens: [{ ...start!, start: 0, end: 0 }, ...encoded.tokens] };
  }

  /** The greedy answer, without the token that ends it: that one is never read. */
  async #generate(source: HubInputs, length: number, { signal, onProgress }: RunWatch): Promise<EncodedPrompt> {
    const { model } = this.#hub;
    const most = Math.min(mostAnswerTokens, 2 * length + 32, this.contextLength - 2);
    if (!this.#hub.hasCache) {
      // transformers.js takes every decoder for one with a cache and would give it the last token only.
      const prepare = Object.getPrototypeOf(model).prepare_inputs_for_generation as (...of: unknown[]) => object;
      model.prepare_inputs_for_generation = (tokens, inputs, config) =>
        prepare.call(model, tokens, { ...inputs, past_key_values: null }, config);
    }
    const output = await model.generate({
      ...source,
      max_new_tokens: most,
      do_sample: false,
      num_beams: 1,
      stopping_criteria: new GenerationWatch({ signal, onProgress: (done) => onProgress(done, most) }),
    } as Parameters<typeof model.generate>[0]);
    throwIfAborted(signal);
    const ids = Array.from((output as Tensor).data as BigInt64Array, Number);
    const isEnd = (last: number) => last === this.#codec.eosId || last === this.#config.pad_token_id;
    while (ids.length > 1 && isEnd(ids.at(-1)!)) ids.pop();
    return this.#codec.encode({ kind: 'ids', ids });
  }

  #requireFit(tokens: number): void {
    if (tokens === 0) throw new AppError('bad-input', 'There is no text to inspect.');
    if (tokens > this.contextLength)
      throw new AppError(
        'context-overflow',
        `The text has ${tokens} tokens, and this model reads up to ${this.contextLength}. Select less text.`,
      );
  }
}

/** Told of every token; stops when the signal fires. */
class GenerationWatch extends StoppingCriteria {
  readonly #watch: { readonly signal: AbortSignal; readonly onProgress: (done: number) => void };

  constructor(watch: { readonly signal: AbortSignal; readonly onProgress: (done: number) => void }) {
    super();
    this.#watch = watch;
  }

  override _call(ids: number[][]): boolean[] {
    this.#watch.onProgress(ids[0]?.length ?? 0);
    return ids.map(() => this.#watch.signal.aborted);
  }
}

function idsOf({ tokens }: EncodedPrompt): number[] {
  return tokens.map(({ id: one }) => one);
}

function inputsOf(ids: readonly number[]): HubInputs {
  return { input_ids: tensorOf(ids), attention_mask: tensorOf(ids.map(() => 1)) };
}

function tensorOf(ids: readonly number[]): Tensor {
  return new Tensor('int64', BigInt64Array.from(ids, BigInt), [1, ids.length]);
}

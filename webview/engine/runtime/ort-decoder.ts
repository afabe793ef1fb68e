/**
 * A Decoder on ONNX Runtime: any decoder graph with past and present keys and values, on WebAssembly or WebGPU. A run
 * fetches the present, the logits asked for, and the taps asked for; nothing else.
 */
import type { InferenceSession, Tensor } from 'onnxruntime-web';
import { AppError, throwIfAborted, toAppError } from '../../../src/shared/app-error.ts';
import type { AttentionSpec, Cache, Decoder, ForwardOptions, ForwardResult, LayerTap } from '../decoder.ts';
import { editFeed, type Feed } from '../graph/edit-feeds.ts';
import { KvBlock } from './kv-block.ts';
import { type LayerTapper, TappedTensors } from './layer-tapper.ts';
import { nextTask } from './next-task.ts';
import type { Ort } from './ort-build.ts';
import { OrtCache } from './ort-cache.ts';
import type { SessionWiring } from './session-wiring.ts';
import { tensorFloats } from './tensor-floats.ts';

export interface OrtDecoderParts {
  readonly ort: typeof Ort;
  readonly session: InferenceSession;
  readonly wiring: SessionWiring;
  readonly device: 'webgpu' | 'wasm';
  readonly heads: number;
  readonly vocabSize: number;
  readonly contextLength: number;
  readonly maxChunk: number;
  /** One per layer, or why there are none. */
  readonly tappers: readonly LayerTapper[] | { readonly refused: string };
}

export class OrtDecoder implements Decoder {
  readonly layers: number;
  readonly heads: number;
  readonly kvHeads: number;
  readonly headDim: number;
  readonly vocabSize: number;
  readonly contextLength: number;
  readonly maxChunk: number;
  readonly device: 'webgpu' | 'wasm';
  readonly hasGates: boolean;
  readonly attention: readonly AttentionSpec[] | { readonly refused: string };
  readonly counters = { forwardedTokens: 0, tappedBytes: 0 };
  readonly #parts: OrtDecoderParts;
  #failed: AppError | undefined;

  constructor(parts: OrtDecoderParts) {
    this.#parts = parts;
    const { wiring, tappers } = parts;
    this.layers = 'refused' in tappers ? wiring.layers.length : tappers.length;
    this.kvHeads = wiring.kvHeads;
    this.headDim = wiring.headDim;
    this.heads = parts.heads;
    this.vocabSize = parts.vocabSize;
    this.contextLength = parts.contextLength;
    this.maxChunk = parts.maxChunk;
    this.device = parts.device;
    this.hasGates = !('refused' in tappers) && tappers.every(({ site }) => typeof site.inputs.gate === 'string');
    this.attention = 'refused' in tappers ? tappers : tappers.map(({ spec }) => spec);
  }

  createCache(): OrtCache {
    return new OrtCache();
  }

  async forward(cache: Cache, tokens: readonly number[], options: ForwardOptions): Promise<ForwardResult> {
    await nextTask();
    throwIfAborted(options.signal);
    if (this.#failed) throw this.#failed;
    if (!(cache instanceof OrtCache)) throw new TypeError('This cache belongs to another runtime.');
    if ((options.gates || options.tapOutputs) && !this.hasGates)
      throw new AppError('model-unsupported', 'The graph of this model does not show the outputs of its heads.');
    if (tokens.length === 0 || tokens.length > this.maxChunk)
      throw new RangeError(`A forward pass takes 1 to ${this.maxChunk} tokens, not ${tokens.length}.`);
    const total = cache.length + tokens.length;
    if (total > this.contextLength)
      throw new AppError(
        'context-overflow',
        `The text has ${total} tokens, but this model reads at most ${this.contextLength}. Shorten it.`,
      );
    const tappers = this.#tappersOf(options.taps ?? []);
    try {
      return await this.#run(cache, tokens, options, tappers);
    } catch (thrown) {
      const error = toAppError(thrown);
      // The run itself went well: what it showed is not what is known of attention.
      if (error.code !== 'model-unsupported') this.#failed = error;
      throw error;
    }
  }

  async dispose(): Promise<void> {
    this.#failed ??= new AppError('engine-died', 'The model was unloaded.');
    await this.#parts.session.release();
  }

  #tappersOf(layers: readonly number[]): LayerTapper[] {
    const { tappers } = this.#parts;
    if (layers.length === 0) return [];
    if ('refused' in tappers) throw new AppError('model-unsupported', tappers.refused);
    return layers.map((layer) => {
      const tapper = tappers[layer];
      if (!tapper) throw new RangeError(`There is no layer ${layer}; the last is ${tappers.length - 1}.`);
      return tapper;
    });
  }

  async #run(
    cache: OrtCache,
    tokens: readonly number[],
    { logits: want, tapPast = true, tapOutputs = false, gates }: ForwardOptions,
    tappers: readonly LayerTapper[],
  ): Promise<ForwardResult> {
    const { session, wiring, ort } = this.#parts;
    const past = cache.length;
    const present = wiring.layers.flatMap(({ presentKey, presentValue }) => [presentKey, presentValue]);
    const fetches = new Set(present);
    if (want !== 'none') fetches.add(wiring.logits);
    const isOutput = (name: string) => session.outputNames.includes(name);
    for (const tapper of tappers) for (const name of tapper.names(tapOutputs).filter(isOutput)) fetches.add(name);

    const own = { ...this.#inputs(tokens, past, want), ...this.#gateInputs(gates) };
    const block = cache.block(ort)?.tensors ?? this.#emptyPast();
    const feeds: Record<string, Tensor> = { ...own };
    for (const [layer, { pastKey, pastValue }] of wiring.layers.entries()) {
      feeds[pastKey] = block[2 * layer]!;
      feeds[pastValue] = block[2 * layer + 1]!;
    }
    const outputs = await session.run(feeds, [...fetches]);
    cache.replace(
      new KvBlock(
        present.map((name) => outputs[name]!),
        past + tokens.length,
      ),
    );
    this.counters.forwardedTokens += tokens.length;

    const logits =
      want === 'none' ? new Float32Array(0) : await this.#rows(outputs[wiring.logits]!, tokens.length, want);
    try {
      const run = new TappedTensors({ ...feeds, ...outputs });
      const taps: LayerTap[] = [];
      for (const tapper of tappers) taps.push(await tapper.read(run, { past: tapPast, outputs: tapOutputs }));
      for (const { query, key, value, output } of taps)
        this.counters.tappedBytes += query.byteLength + key.byteLength + value.byteLength + (output?.byteLength ?? 0);
      return { logits, taps };
    } finally {
      for (const name of Object.keys(outputs)) if (!present.includes(name)) outputs[name]!.dispose();
      for (const tensor of Object.values(own)) tensor.dispose();
    }
  }

  #inputs(tokens: readonly number[], past: number, want: ForwardOptions['logits']): Record<string, Tensor> {
    const { ort, wiring } = this.#parts;
    const ints = (values: readonly number[], dims: readonly number[]) =>
      new ort.Tensor('int64', BigInt64Array.from(values, BigInt), dims);
    const count = tokens.length;
    const inputs: Record<string, Tensor> = { [wiring.inputIds]: ints(tokens, [1, count]) };
    if (wiring.attentionMask)
      inputs[wiring.attentionMask] = new ort.Tensor('int64', new BigInt64Array(past + count).fill(1n), [
        1,
        past + count,
      ]);
    const places = tokens.map((_, index) => index);
    if (wiring.positionIds)
      inputs[wiring.positionIds] = ints(
        places.map((place) => past + place),
        [1, count],
      );
    if (wiring.rows?.kind === 'keep') inputs[wiring.rows.name] = ints([want === 'all' ? 0 : 1], []);
    if (wiring.rows?.kind === 'list') {
      // One row that nobody fetches instead of none: an empty product is not safe on every device.
      const rows = want === 'all' ? places : [count - 1];
      inputs[wiring.rows.name] = ints(rows, [rows.length]);
    }
    return inputs;
  }

  #gateInputs(gates: Float32Array | undefined): Record<string, Tensor> {
    const { ort, tappers } = this.#parts;
    if ('refused' in tappers) return {};
    const { heads } = this;
    const feeds = tappers.flatMap(({ site }, layer): Feed[] => {
      if (typeof site.inputs.gate !== 'string') return [];
      const data = gates?.subarray(layer * heads, (layer + 1) * heads);
      return [editFeed(site, 'gate', data ? { data, sizes: { head: heads } } : { data: [1], sizes: {} })];
    });
    return Object.fromEntries(
      feeds.map(({ name, type, data, dims }) => [name, new ort.Tensor(type, data as never, dims)]),
    );
  }

  #emptyPast(): Tensor[] {
    const { ort, wiring } = this.#parts;
    const Data = wiring.kvType === 'float16' ? Uint16Array : Float32Array;
    const dims = [1, wiring.kvHeads, 0, wiring.headDim];
    return wiring.layers.flatMap(() => [0, 1].map(() => new ort.Tensor(wiring.kvType, new Data(0) as never, dims)));
  }

  /** The rows asked for, of a graph that may have computed all. */
  async #rows(logits: Tensor, tokens: number, want: 'last' | 'all'): Promise<Float32Array> {
    const floats = await tensorFloats(logits);
    const rows = want === 'all' ? tokens : 1;
    return floats.length === rows * this.vocabSize ? floats : floats.slice(-rows * this.vocabSize);
  }
}

/**
 * The seam between everything that uses a model and the runtimes that run one. The decode loop, the prefix cache and
 * inspection see only this: no ONNX, no ORT, no GPU buffer.
 */
import type { Distribution } from '../../src/shared/sampling/distribution.ts';

/** The past of one sequence. Forks share what they have in common. */
export interface Cache {
  /** Tokens held. */
  readonly length: number;
  /** Memory that this cache alone is accountable for, in bytes. */
  readonly sizeBytes: number;
  /** Forgets all tokens from position `length` on. Throws a RangeError when it holds fewer. */
  crop(length: number): void;
  fork(): Cache;
  dispose(): void;
}

/** What a head's attention is computed from, for the tokens of one forward pass in one layer. */
export interface LayerTap {
  /** Queries as the graph scores them, after rotary embedding: [head, token, headDim]. */
  readonly query: Float32Array;
  /** Keys of the whole cache after rotary embedding: [kvHead, past + token, headDim]. */
  readonly key: Float32Array;
  /** Values of the whole cache: [kvHead, past + token, headDim]. */
  readonly value: Float32Array;
  /** What the heads hand to the output projection, gates applied: [token, heads * headDim]. */
  readonly output?: Float32Array;
  /** The residual stream before the layer: [token, width]; empty where the runtime does not know it. */
  readonly residual?: Float32Array;
  /** Absent where the layer's `AttentionSpec` says all. */
  readonly rule?: ScoreRule;
}

/** What only a run tells of how scores become weights: masks and biases that the graph computes. */
export interface ScoreRule {
  /** [token]: the first key that each query sees; it sees all from there to itself. Absent: 0. */
  readonly firstKeys?: Int32Array;
  /** [head, past + token]: added to a score by its key, as ALiBi does (arXiv:2108.12409). */
  readonly bias?: Float32Array;
  /** [head]: as those of `AttentionSpec`. */
  readonly sinks?: Float32Array;
}

/** How the graph turns a layer's queries and keys into weights. */
export interface AttentionSpec {
  /** Multiplies query . key before softmax. */
  readonly scale: number;
  /** softcap * tanh(score / softcap) when present. */
  readonly softcap?: number;
  /** A query sees itself and window - 1 keys before it, when present. */
  readonly window?: number;
  /** [head]: exp(sink) is added to the sum that a head's weights are divided by; a row then sums to less than 1. */
  readonly sinks?: Float32Array;
}

export interface ForwardOptions {
  /** Which rows of logits to return; the others are not computed. */
  readonly logits: 'last' | 'all' | 'none';
  /** Fetch Q, K and V of these layers. Nothing is fetched or computed for it otherwise. */
  readonly taps?: readonly number[];
  /** False leaves the taps' keys and values empty: they are those of the whole cache, so the last chunk has them all. */
  readonly tapPast?: boolean;
  /** Taps have `output` and `residual`, too. Only on a decoder that `hasGates`. */
  readonly tapOutputs?: boolean;
  /** [layer, head]: what a head's output is multiplied by; absent: 1. Only on a decoder that `hasGates`. */
  readonly gates?: Float32Array;
  /** float32 where a reading has to be exact; absent: as the decoder was opened. A runtime may have but one. */
  readonly arithmetic?: 'int8' | 'float32';
  readonly signal?: AbortSignal;
}

export interface ForwardResult {
  /** [row, vocabSize]: no rows, the last, or one per token. */
  readonly logits: Float32Array;
  /** Of each row, where the runtime knows it at less cost than `describeLogits`. */
  readonly distributions?: readonly (Distribution | undefined)[];
  /** In the order of `taps`. */
  readonly taps: readonly LayerTap[];
}

export interface BatchItem {
  readonly cache: Cache;
  readonly tokens: readonly number[];
}

export interface Decoder {
  readonly layers: number;
  readonly heads: number;
  readonly kvHeads: number;
  readonly headDim: number;
  readonly vocabSize: number;
  readonly contextLength: number;
  /** The most tokens to give `forward` at once, so that cancellation is quick and the result right. */
  readonly maxChunk: number;
  readonly device: 'webgpu' | 'wasm';
  /** What each further token of a short pass costs, as a share of a pass of one. Absent: it is measured in use. */
  readonly batchedCost?: number;
  /** So many tokens of a longer pass are computed at once: one less takes as long. Absent: each by itself. */
  readonly tokensTogether?: number;
  /** Runs take gates, and taps have outputs and residuals. */
  readonly hasGates: boolean;
  /** One per layer, or the sentence why attention cannot be read. */
  readonly attention: readonly AttentionSpec[] | { readonly refused: string };
  /** Since load, for tests and the Model view. */
  readonly counters: {
    readonly forwardedTokens: number;
    readonly tappedBytes: number;
    /** Memory of the runtime, where it can be told. */
    readonly wasmBytes?: number;
    /** What one token reads of the weights, where it can be told. */
    readonly weightBytesRead?: number;
  };
  createCache(): Cache;
  /** `reclaim` frees caches that can be done without, and says whether there were any: asked before memory is refused. */
  onFull?(reclaim: () => boolean): void;
  /**
   * Appends `tokens` to the cache. At most `maxChunk` of them.
   * @throws AppError `cancelled` when the signal fired before it started (the cache is then as before),
   *   `context-overflow` past `contextLength`, `engine-failed` when the runtime threw (the decoder is then unusable).
   */
  forward(cache: Cache, tokens: readonly number[], options: ForwardOptions): Promise<ForwardResult>;
  /** As `forward` for several sequences, `maxChunk` tokens in all: the weights are read once. In the order of `items`. */
  forwardBatch?(items: readonly BatchItem[], options: ForwardOptions): Promise<ForwardResult[]>;
  dispose(): Promise<void>;
}

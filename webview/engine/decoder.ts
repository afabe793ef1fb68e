/**
 * The seam between everything that uses a model and the runtimes that run one. The decode loop, the prefix cache and
 * inspection see only this: no ONNX, no ORT, no GPU buffer.
 */

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
}

/** How the graph turns a layer's queries and keys into weights. */
export interface AttentionSpec {
  /** Multiplies query . key before softmax. */
  readonly scale: number;
  /** softcap * tanh(score / softcap) when present. */
  readonly softcap?: number;
  /** A query sees itself and window - 1 keys before it, when present. */
  readonly window?: number;
}

export interface ForwardOptions {
  /** Which rows of logits to return; the others are not computed. */
  readonly logits: 'last' | 'all' | 'none';
  /** Fetch Q, K and V of these layers. Nothing is fetched or computed for it otherwise. */
  readonly taps?: readonly number[];
  /** False leaves the taps' keys and values empty: they are those of the whole cache, so the last chunk has them all. */
  readonly tapPast?: boolean;
  readonly signal?: AbortSignal;
}

export interface ForwardResult {
  /** [row, vocabSize]: no rows, the last, or one per token. */
  readonly logits: Float32Array;
  /** In the order of `taps`. */
  readonly taps: readonly LayerTap[];
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
  /** One per layer, or the sentence why attention cannot be read. */
  readonly attention: readonly AttentionSpec[] | { readonly refused: string };
  /** Since load, for tests and the Model view. */
  readonly counters: {
    readonly forwardedTokens: number;
    readonly tappedBytes: number;
    /** Memory of the runtime, where it can be told. */
    readonly wasmBytes?: number;
  };
  createCache(): Cache;
  /**
   * Appends `tokens` to the cache. At most `maxChunk` of them.
   * @throws AppError `cancelled` when the signal fired before it started (the cache is then as before),
   *   `context-overflow` past `contextLength`, `engine-failed` when the runtime threw (the decoder is then unusable).
   */
  forward(cache: Cache, tokens: readonly number[], options: ForwardOptions): Promise<ForwardResult>;
  dispose(): Promise<void>;
}

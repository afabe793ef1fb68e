/**
 * What a decoder graph is compiled to: straight-line steps over buffers of one row per token. It knows nothing of ONNX
 * beyond where constant tensors lie, and nothing of the machine that runs it.
 */

export type TensorType = 'float32' | 'float16' | 'bfloat16' | 'uint8' | 'int8' | 'int32' | 'int64';

/** A constant of the graph file that is too large to be read while compiling. */
export interface TensorRef {
  /** As the graph calls it, for messages. */
  readonly name: string;
  readonly dims: readonly number[];
  readonly type: TensorType;
  readonly source: TensorPlace;
}

type TensorPlace =
  | { readonly bytes: Uint8Array }
  /** `file` as the graph names it, relative to the graph's folder. */
  | { readonly file: string; readonly offset: number; readonly length: number };

/** A matrix [rows, columns] whose product with a row of `columns` activations has `rows` results. */
export type LinearWeight = BlockWeight | FloatWeight | ChannelWeight;

/** (q - zeroPoint) * scale for blocks of a row: `com.microsoft.MatMulNBits`, `GatherBlockQuantized` and the like. */
export interface BlockWeight {
  readonly kind: 'blocks';
  readonly bits: 4 | 8;
  readonly blockSize: 16 | 32 | 64 | 128 | 256;
  readonly rows: number;
  readonly columns: number;
  /** [rows, blocks, blockSize * bits / 8] bytes; of two 4-bit numbers in a byte, the lower half is the earlier. */
  readonly quantised: TensorRef;
  /** [rows, blocks] float32 or float16. */
  readonly scales: TensorRef;
  /**
   * A number for all; or float [rows, blocks]; or uint8 [rows, blocks], for 4 bits packed two in a byte, each row
   * beginning with a new byte.
   */
  readonly zeroPoints: number | TensorRef;
}

export interface FloatWeight {
  readonly kind: 'float';
  readonly rows: number;
  readonly columns: number;
  /** float32, float16 or bfloat16. */
  readonly tensor: TensorRef;
  /** The tensor is [columns, rows], as the second input of `MatMul` is; else [rows, columns]. */
  readonly isTransposed: boolean;
}

/** (q - zeroPoint) * scale for whole rows: the weights of `MatMulInteger` and of quantise/dequantise pairs. */
export interface ChannelWeight {
  readonly kind: 'channels';
  readonly rows: number;
  readonly columns: number;
  /** int8 or uint8. */
  readonly tensor: TensorRef;
  readonly isTransposed: boolean;
  /** One, or one a row. */
  readonly scales: Float32Array;
  /** One, or one a row. */
  readonly zeroPoints: Float32Array;
}

/** Part of a buffer's row. */
export interface Slice {
  readonly buffer: number;
  readonly offset: number;
  readonly width: number;
}

export type Activation = 'silu' | 'gelu' | 'gelu-tanh' | 'gelu-quick' | 'relu' | 'sigmoid' | 'tanh';

export type Step =
  | {
      readonly op: 'embed';
      /** A row of the table for each token, or for each position. */
      readonly by: 'token' | 'position';
      readonly table: LinearWeight;
      readonly to: Slice;
    }
  | {
      /**
       * Over each of `groups` equal parts of a row: x / rms(x) * weight, or (x - mean) / deviation * weight + bias.
       * x is `from`, or the sum of `from`, `add` and `addBias`, which `sum` receives when present.
       */
      readonly op: 'norm';
      readonly kind: 'rms' | 'layer';
      readonly from: Slice;
      readonly add?: Slice;
      readonly addBias?: Float32Array;
      readonly sum?: Slice;
      readonly groups: number;
      readonly epsilon: number;
      /** [width / groups] */
      readonly weight?: Float32Array;
      readonly bias?: Float32Array;
      readonly to: Slice;
    }
  | {
      readonly op: 'linear';
      readonly from: Slice;
      readonly weight: LinearWeight;
      readonly bias?: Float32Array;
      readonly to: Slice;
    }
  | {
      /** In place, on `heads` heads of `headDim`; the first `rotaryDim` of each turn, the rest stays. */
      readonly op: 'rotary';
      readonly at: Slice;
      readonly heads: number;
      readonly headDim: number;
      readonly rotaryDim: number;
      /** Pairs are neighbours (2i, 2i + 1) instead of (i, i + rotaryDim / 2). */
      readonly isInterleaved: boolean;
      /** [position, rotaryDim / 2] */
      readonly cos: Float32Array;
      readonly sin: Float32Array;
    }
  | {
      /** Appends key and value to the cache of `layer`, then attends causally over all that the cache holds. */
      readonly op: 'attention';
      readonly layer: number;
      readonly query: Slice;
      readonly key: Slice;
      readonly value: Slice;
      readonly heads: number;
      readonly kvHeads: number;
      readonly headDim: number;
      readonly scale: number;
      /** softcap * tanh(score / softcap) */
      readonly softcap?: number;
      /** A query sees itself and window - 1 keys before it. */
      readonly window?: number;
      /** [heads]: exp(sink) is added to the sum that weights are divided by. Smooth softmax is a sink of 0. */
      readonly sinks?: Float32Array;
      /** What the layer reads and adds to, for taps. */
      readonly residual?: Slice;
      readonly to: Slice;
    }
  | { readonly op: 'unary'; readonly function: Activation; readonly from: Slice; readonly to: Slice }
  | {
      /** activation(gate) * up */
      readonly op: 'glu';
      readonly function: Activation;
      readonly gate: Slice;
      readonly up: Slice;
      readonly to: Slice;
    }
  | {
      readonly op: 'binary';
      readonly function: 'add' | 'subtract' | 'multiply' | 'divide';
      readonly left: Slice;
      /** A vector of the width, or one number. */
      readonly right: Slice | Float32Array | number;
      readonly to: Slice;
    }
  | {
      /** From here on only the rows whose logits are asked for go on, in the buffers listed, moved to the front. */
      readonly op: 'select';
      readonly buffers: readonly number[];
    };

export interface Plan {
  readonly layers: number;
  readonly heads: number;
  readonly kvHeads: number;
  readonly headDim: number;
  readonly vocabSize: number;
  /** The most positions that the graph's tables have; infinite without tables. */
  readonly maxPositions: number;
  /** Floats in a row of each buffer. */
  readonly buffers: readonly number[];
  readonly steps: readonly Step[];
  /** Where the last step leaves the logits. */
  readonly logits: Slice;
}

/**
 * Lays the attention of any ONNX graph open: every tensor that weights follow from becomes an output of the graph, and
 * gates, patches and cuts are added where they are asked for. Weights are neither read nor copied.
 */
import type { AttentionSite, RefusedNode } from './attention-site.ts';
import type { OnnxModel } from './onnx-model.ts';

export interface TapOptions {
  /** Every head's output is multiplied by an input. */
  readonly gates?: boolean;
  /** An input is added to every head's output. */
  readonly patches?: boolean;
  /** An input is added to the scores. */
  readonly cuts?: boolean;
  /** Also return the weights themselves where the graph holds them: heavy, for tests. */
  readonly probabilities?: boolean;
}

export interface TappedGraph {
  readonly model: OnnxModel;
  /** The edited graph. The bytes given are as they were. */
  readonly bytes: Uint8Array<ArrayBuffer>;
  readonly sites: readonly AttentionSite[];
  readonly refused: readonly RefusedNode[];
  /** Outputs that were added; a run that does not fetch them copies nothing. */
  readonly outputs: readonly string[];
  /** Inputs that were added. */
  readonly inputs: readonly string[];
}

export declare function tapGraph(source: Uint8Array | OnnxModel, options?: TapOptions): TappedGraph;

/** What recognisers of attention work with, and what they hand back. */
import type { AttentionSite, Axis, Refusal } from './attention-site.ts';
import type { TensorFacts } from './tensor-facts.ts';
import type { WiredGraph, WiredNode, WiredTensor } from './wired-graph.ts';

export interface GraphReading {
  readonly graph: WiredGraph;
  /** Type, shape and, where small and known, the numbers of a tensor. */
  facts(tensor: WiredTensor | undefined): TensorFacts;
  /** Whether it depends on data of a graph input; on sizes of one does not count. */
  isActivation(tensor: WiredTensor | undefined): boolean;
}

/** Where scores can be biased: input `position` of `reader` gets the cut added, or is it where there was none. */
interface CutPlace {
  readonly reader: WiredNode;
  readonly position: number;
  readonly axes: readonly Axis[];
  /** Whether it has to have all queries and keys. */
  readonly isWhole?: boolean;
}

/** An attention without what follows from its place among the others. */
export interface FoundAttention
  extends Omit<AttentionSite<WiredTensor>, 'stack' | 'layer' | 'order' | 'path' | 'operator' | 'node' | 'inputs'> {
  readonly node: WiredNode;
  /** Tensors that queries and keys are made of: whether the attention is cross attention is told from them. */
  readonly querySource: readonly WiredTensor[];
  readonly keySource: readonly WiredTensor[];
  /** The first tensor that the values are in. */
  readonly result: WiredTensor;
  readonly cut: CutPlace | Refusal;
}

/** Undefined for an operator that it does not know. */
export type Recogniser = (node: WiredNode, reading: GraphReading) => FoundAttention | Refusal | undefined;

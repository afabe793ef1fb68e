/** What is known of a tensor before a run, and how rules about operators tell it. */
import type { Size } from './symbolic-size.ts';
import type { WiredNode } from './wired-graph.ts';

export interface TensorFacts {
  /** TensorProto_DataType. */
  readonly type?: number | undefined;
  readonly shape?: readonly Size[] | undefined;
  /** Of a tensor of at most `maxValues` numbers; integers may be sizes of a run. */
  readonly values?: readonly (Size | undefined)[] | undefined;
}

export const maxValues = 64;

/** One operator with what is known of its inputs. */
export interface RuleInput {
  readonly node: WiredNode;
  readonly opset: number;
  at(position: number): TensorFacts;
  /** A size that is nothing else's. */
  fresh(): Size;
}

/** Facts of the outputs in their order; undefined for an operator that the rules do not know. */
export type FactRule = (input: RuleInput) => readonly TensorFacts[] | undefined;

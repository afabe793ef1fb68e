/**
 * One attention of a graph, laid open: what it is, and how its weights follow from tensors of a run, step by step as the
 * graph itself computes them. `T` is how a tensor is referred to: while a graph is read by its wiring, later by the name
 * under which a run returns it.
 */

/** `self` is decided by a run: causal where no query sees a later key. `cross`: keys of another sequence. */
export type AttentionKind = 'self' | 'causal' | 'bidirectional' | 'cross';

/** What an axis counts. `pick` reads one index of an axis and no other. */
export type AxisRole = 'batch' | 'head' | 'query' | 'key' | 'dim' | 'pick';

export interface AxisPart {
  readonly role: AxisRole;
  /** Where one role is spread over several axes or parts (windows of a batch, groups of heads): 0, 1 ... from the slowest. */
  readonly level?: number;
  /** Absent: what the other parts leave of the axis. Where several lack it, they are levels of one role. */
  readonly size?: number;
  /** Of `pick`: the index that is read. */
  readonly index?: number;
}

/** One axis of a tensor: one part, or several merged, the slowest first. */
export interface Axis {
  readonly parts: readonly AxisPart[];
  /** Where a packed axis is read from, and how far. */
  readonly offset?: number;
  readonly length?: number;
}

/** A tensor of small size that the graph holds as a constant. */
export interface ConstantSide {
  readonly data: ArrayLike<number>;
  readonly dims: readonly number[];
}

/** A tensor beside the scores, that broadcasts over them: an axis of size 1 serves every index, a missing axis too. */
export interface SideTensor<T = string> {
  readonly tensor: T | ConstantSide;
  readonly axes: readonly Axis[];
}

/**
 * Where queries stand among the keys. `start`: the first query at key 0. `end`: the last query at the last key. `cache`:
 * as GroupQueryAttention has it, at 0 in a run whose keys are all new, else so that the last one ends at `lengths`; and
 * `lengths`: always so.
 */
export interface PastRule<T = string> {
  readonly from: 'start' | 'end' | 'cache' | 'lengths';
  /** [batch]: keys that count, from the first, less `added`. */
  readonly lengths?: SideTensor<T>;
  readonly added?: number;
}

/** Queries, keys or values that an operator makes of its input itself: columns of a product with weights. */
export interface ProjectionStep<T = string> {
  /** [input, columns]. */
  readonly weights: T;
  readonly bias?: T;
  /** Column of the first head, and how many columns a head has. */
  readonly offset: number;
  readonly headDim: number;
  readonly heads: number;
  /** Where input and weights are integers: what they are numbers of. */
  readonly codes?: ProjectionCodes<T>;
}

/** number = (code - zero) * scale. Of the weights, one for all or one for each column. */
export interface ProjectionCodes<T = string> {
  readonly inputScale: T;
  readonly inputZero?: T;
  readonly weightScale: T;
  readonly weightZero?: T;
}

/** Rotary embedding (arXiv:2104.09864) that an operator does inside, on the first 2 * half numbers of a head. */
export interface RotaryStep<T = string> {
  /** [position, half]. */
  readonly cos: T | ConstantSide;
  readonly sin: T | ConstantSide;
  readonly half: number;
  /** Pairs are neighbours (2i, 2i + 1) instead of (i, i + half). */
  readonly isInterleaved: boolean;
  /** Of each query: [batch, query], or [batch] or [1] for the first. Absent: as `past` says. */
  readonly positions?: SideTensor<T>;
  readonly past: PastRule<T>;
}

/** Queries, keys or values: [batch, head, token, dim] after `axes` are read. */
export interface HeadTensor<T = string> {
  readonly tensor: T;
  readonly axes: readonly Axis[];
  /** Of an integer tensor: subtracted from the numbers as they are read. */
  readonly zeroPoint?: T | ConstantSide;
  /** Added to the numbers as they are read. */
  readonly bias?: SideTensor<T>;
  readonly rotary?: RotaryStep<T>;
  /** The tensor is the input of this, its last axis unnamed. */
  readonly projection?: ProjectionStep<T>;
}

type BinaryOperation = 'add' | 'sub' | 'mul' | 'div' | 'min' | 'max' | 'pow';
type UnaryOperation = 'tanh' | 'neg' | 'abs' | 'exp' | 'sigmoid';

/** One change of every score, in the order of the graph. */
export type ScoreStep<T = string> =
  /** score op operand, or operand op score. */
  | { readonly op: BinaryOperation; readonly operand: SideTensor<T>; readonly isReversed?: boolean }
  | { readonly op: UnaryOperation }
  /** The score where the condition is as `keeps` says, else `other`. */
  | { readonly op: 'where'; readonly condition: SideTensor<T>; readonly keeps: boolean; readonly other: SideTensor<T> }
  /** `other` where the score is no number. */
  | { readonly op: 'guard'; readonly other: SideTensor<T> }
  | { readonly op: 'clip'; readonly min: number; readonly max: number }
  /** Rounds to the type. */
  | { readonly op: 'cast'; readonly type: 'float16' | 'bfloat16' | 'float32' }
  /** Rounds as QuantizeLinear and DequantizeLinear do, one after the other. */
  | {
      readonly op: 'quantise';
      readonly scale: number;
      readonly zeroPoint: number;
      readonly min: number;
      readonly max: number;
    }
  /** Adds `fill` where the mask is 0. */
  | { readonly op: 'mask'; readonly mask: SideTensor<T>; readonly fill: number }
  /**
   * Adds `fill` to keys that do not count: from bounds[batch] on and, where there are two for each entry, before
   * bounds[batches + batch]. Others behind these two say nothing of keys.
   */
  | { readonly op: 'range'; readonly bounds: SideTensor<T>; readonly fill: number }
  /** Hides keys by an operator's own rules: -infinity in place of the score, or `fill` added to it. */
  | {
      readonly op: 'visible';
      readonly isCausal: boolean;
      readonly past: PastRule<T>;
      /** A query sees itself and window - 1 keys before it. */
      readonly window?: number;
      readonly fill?: number;
    };

export interface ScoreProgram<T = string> {
  readonly query: HeadTensor<T>;
  /** Its heads may be fewer: head h reads key head floor(h / (heads / kvHeads)). */
  readonly key: HeadTensor<T>;
  /** Applied to query . key; all factors of the dot product are among them. */
  readonly steps: readonly ScoreStep<T>[];
  /** exp(sink) joins the sum that a row is divided by: [head] or a number; a row then sums to less than 1. */
  readonly sink?: SideTensor<T>;
  /** Applied to the weights after softmax. */
  readonly after: readonly ScoreStep<T>[];
}

/** Why an edit is not there. */
export interface Refusal {
  readonly refused: string;
}

/**
 * Names of graph inputs that change a run. Each must be fed in every run; a tensor of one number, 1 for `gate` and 0
 * for the others, changes nothing (`neutralFeeds`). All broadcast over what they change.
 */
export interface SiteInputs {
  /** Multiplies `output`, laid out as it: see `gateFeed`. */
  readonly gate?: string | Refusal;
  /** Added to `output`, behind the gate. */
  readonly patch?: string | Refusal;
  /** Added to the scores before softmax, laid out as `cutAxes`. */
  readonly cut?: string | Refusal;
  readonly cutAxes?: readonly Axis[];
  /** The operator takes no cut of size 1 along queries and keys. */
  readonly isCutWhole?: boolean;
  /** Type of the inputs. */
  readonly type: 'float32' | 'float16';
}

/** A branch of an If that has to be taken for the attention to run. */
export interface BranchStep {
  readonly node: string;
  readonly branch: string;
}

export interface AttentionSite<T = string> {
  readonly kind: AttentionKind;
  /** Sites that feed each other share one: `encoder` and `decoder` where there are both, else what they start from. */
  readonly stack: string;
  /** Number in order of execution among the sites of one kind and stack. Sites of two branches share numbers. */
  readonly layer: number;
  /** Index in order of execution. */
  readonly order: number;
  readonly path: readonly BranchStep[];
  /** Domain and type, the default domain not written. */
  readonly operator: string;
  readonly node: string;
  /** Absent where only a run tells. */
  readonly heads?: number;
  readonly kvHeads?: number;
  readonly headDim?: number;
  /** Where a constant of the graph tells; masks that the graph computes are among the steps. */
  readonly scale?: number;
  readonly softcap?: number;
  readonly window?: number;
  readonly hasSink: boolean;
  /** Absent when weights can only be read as the graph holds them. */
  readonly program?: ScoreProgram<T>;
  /** The weights, where the graph holds them: [batch, head, query, key] by its axes. */
  readonly probabilities?: SideTensor<T>;
  readonly value?: HeadTensor<T>;
  /** What goes to the output projection. */
  readonly output?: HeadTensor<T>;
  readonly inputs: SiteInputs;
  /** Why `program` is absent, in a sentence. */
  readonly note?: string;
}

/** An attention that cannot be read. */
export interface RefusedNode {
  readonly operator: string;
  readonly node: string;
  readonly reason: string;
}

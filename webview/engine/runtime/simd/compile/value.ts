/** What a tensor of the graph is, to a compiler that has neither tokens nor weights at hand. */
import type { Slice, TensorRef } from '../plan.ts';
import type { Expression } from './expression.ts';
import type { Known } from './known.ts';
import type { Axis } from './view.ts';

/** The sizes for which a run is imagined: batch 1, no padding, positions `past` to `past + tokens - 1`. */
export interface Size {
  readonly tokens: number;
  readonly past: number;
}

/** Numbers that depend on tokens: part of a row for each token. */
export interface Hidden {
  readonly kind: 'hidden';
  /** All numbers that the axes reach. */
  readonly slice: Slice;
  readonly axes: readonly Axis[];
  /** The value is this function of each number instead of the number itself. */
  readonly expression?: Expression;
  /** Rows of this table, chosen by token. */
  readonly table?: TensorRef;
}

/** The ids of the tokens, in any shape that keeps their order. */
export interface Tokens {
  readonly kind: 'tokens';
  readonly axes: readonly Axis[];
}

export type CacheAxis = 'one' | 'pair' | 'kvHead' | 'repeat' | 'head' | 'past' | 'total' | 'dim';

/** Keys or values of a layer: those of the past, or those with the new ones behind. */
export interface Cache {
  readonly kind: 'cache';
  /** Which input of the graph has its past. */
  readonly input: number;
  readonly kvHeads: number;
  readonly headDim: number;
  /** Query heads for each head, where the graph has repeated them. */
  readonly repeat: number;
  readonly axes: readonly CacheAxis[];
  /** What the graph multiplies it with after the cache. */
  readonly scale: number;
  /** The new keys or values; absent from the past. */
  readonly added?: Hidden;
}

/** A row's statistic over the last axis, on its way into a norm that is made of plain operators. */
export interface Statistic {
  readonly kind: 'statistic';
  readonly of: 'mean' | 'meanSquare' | 'variance';
  readonly base: Hidden;
  readonly epsilon: number;
  readonly form: 'plain' | 'root' | 'inverseRoot';
}

/** x - mean(x), or its square. */
interface Centred {
  readonly kind: 'centred';
  readonly base: Hidden;
  readonly isSquared: boolean;
}

/** (-x2, x1) of the halves x1, x2 of each head: half of a rotary embedding made of plain operators. */
interface Turned {
  readonly kind: 'turned';
  readonly base: Hidden;
}

/** x * cos, or turned x * sin. */
export interface RotaryTerm {
  readonly kind: 'rotaryTerm';
  readonly base: Hidden;
  readonly by: 'cos' | 'sin';
  readonly table: Known;
}

/** Activations quantised while running, which this runtime does in its own way. */
interface DynamicQuantised {
  readonly kind: 'dynamicQuantised';
  readonly part: 'numbers' | 'scale' | 'zeroPoint';
  readonly base: Hidden;
  /** Of the scale: what it was multiplied with. */
  readonly weightScale?: Known;
}

/** Product of dynamically quantised activations and a matrix, before its scales. */
export interface IntegerProduct {
  readonly kind: 'integerProduct';
  readonly base: Hidden;
  readonly weight: TensorRef;
  readonly zeroPoint: Known | undefined;
  readonly isScaled: boolean;
}

/** Rows of a quantised table, chosen by token, before their scales. */
export interface QuantisedRows {
  readonly kind: 'quantisedRows';
  readonly table: TensorRef;
  readonly zeroPoint: number;
  readonly axes: readonly Axis[];
}

/** Scores of an attention that is made of plain operators, or its weights after softmax. */
export interface Scores {
  readonly kind: 'scores';
  readonly query: Hidden;
  readonly key: Cache;
  readonly scale: number;
  readonly softcap: number | undefined;
  readonly form: 'scores' | 'divided' | 'tanh' | 'weights' | 'isNaN';
  readonly mask: Known | undefined;
}

export type Value =
  | Known
  | Hidden
  | Tokens
  | Cache
  | Statistic
  | Centred
  | Turned
  | RotaryTerm
  | DynamicQuantised
  | IntegerProduct
  | QuantisedRows
  | Scores;

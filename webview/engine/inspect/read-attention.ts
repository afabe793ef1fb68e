/** Attention weights of one site from the tensors of a run, computed row by row as the graph computes them. */
import type { AttentionKind, AttentionSite } from '../graph/attention-site.ts';

export interface FetchedTensor {
  /** Numbers as ONNX Runtime gives them: float16 as Float16Array or as bits in a Uint16Array. */
  readonly data: ArrayLike<number> | BigInt64Array | BigUint64Array;
  readonly dims: readonly number[];
  /** As ONNX Runtime names it: float32, float16, int64, bool ... */
  readonly type: string;
}

/** Outputs and feeds of the run, by name. */
export type Fetch = (name: string) => FetchedTensor | undefined;

export interface AttentionCapture {
  readonly site: AttentionSite;
  readonly kind: AttentionKind;
  readonly batch: number;
  readonly heads: number;
  readonly kvHeads: number;
  readonly headDim: number;
  readonly queries: number;
  readonly keys: number;
  /** Weights of one query: [key]. */
  row(batch: number, head: number, query: number): Float32Array<ArrayBuffer>;
  /** Weights of one head: [query, key]. */
  map(batch: number, head: number): Float32Array<ArrayBuffer>;
  /** Of one token: [dim]; undefined where the graph does not show them. */
  queryRow(batch: number, head: number, query: number): Float32Array | undefined;
  keyRow(batch: number, kvHead: number, key: number): Float32Array | undefined;
  valueRow(batch: number, kvHead: number, key: number): Float32Array | undefined;
}

/** Tensors of a run that `readAttention` asks for. */
export declare function neededTensors(site: AttentionSite): string[];

/** Undefined where the site did not run (another branch was taken). @throws AppError `engine-failed` when a tensor is missing. */
export declare function readAttention(site: AttentionSite, fetch: Fetch): AttentionCapture | undefined;

/** Runs a graph on ONNX Runtime in Node (the build for the CPU, which knows operators that the one for both lacks), as it is and with its attention laid open. */
import { readFileSync } from 'node:fs';
import * as ort from 'onnxruntime-web/wasm';
import type { AttentionSite } from '../../../webview/engine/graph/attention-site.ts';
import { type TapOptions, type TappedGraph, tapGraph } from '../../../webview/engine/graph/tap-graph.ts';
import { type AttentionCapture, readAttention } from '../../../webview/engine/inspect/read-attention.ts';
import type { FetchedTensor } from '../../../webview/engine/inspect/tensor-view.ts';

const wasm = readFileSync('node_modules/onnxruntime-web/dist/ort-wasm-simd-threaded.wasm');

export type Feeds = Record<string, ort.Tensor>;

export async function openSession(graph: Uint8Array): Promise<ort.InferenceSession> {
  ort.env.wasm.wasmBinary ??= wasm.buffer.slice(wasm.byteOffset, wasm.byteOffset + wasm.byteLength);
  ort.env.wasm.numThreads = 1;
  return ort.InferenceSession.create(graph, { executionProviders: ['wasm'], logSeverityLevel: 4 });
}

export function ortTensor({ type, data, dims }: FetchedTensor): ort.Tensor {
  return new ort.Tensor(type as 'float32', data as Float32Array, dims);
}

export function floats(dims: readonly number[], data: ArrayLike<number>): ort.Tensor {
  return new ort.Tensor('float32', Float32Array.from(data), dims);
}

export function ints(dims: readonly number[], data: readonly number[]): ort.Tensor {
  return new ort.Tensor('int64', BigInt64Array.from(data, BigInt), dims);
}

export interface TappedRun {
  readonly tapped: TappedGraph;
  readonly session: ort.InferenceSession;
  run(feeds: Feeds): Promise<Record<string, ort.Tensor>>;
}

export async function openTapped(graph: Uint8Array, options: TapOptions = {}): Promise<TappedRun> {
  const tapped = tapGraph(graph, options);
  const session = await openSession(tapped.toBytes());
  return { tapped, session, run: async (feeds) => (await session.run(feeds)) as Record<string, ort.Tensor> };
}

/** Reads a site from the results and the feeds of a run. */
export function capture(
  site: AttentionSite,
  results: Record<string, ort.Tensor>,
  feeds: Feeds,
): AttentionCapture | undefined {
  return readAttention(site, (name) => {
    const tensor = results[name] ?? feeds[name];
    return tensor && { data: tensor.data as Float32Array, dims: tensor.dims, type: tensor.type };
  });
}

/** The largest difference; infinite where one is no number and the other is, or where lengths differ. */
export function largestDifference(a: ArrayLike<number | bigint>, b: ArrayLike<number | bigint>): number {
  let largest = a.length === b.length ? 0 : Number.POSITIVE_INFINITY;
  for (let i = 0; i < a.length; i++) {
    const [x, y] = [Number(a[i]), Number(b[i])];
    const difference = Object.is(x, y) || x === y ? 0 : Math.abs(x - y);
    largest = Number.isNaN(difference) ? Number.POSITIVE_INFINITY : Math.max(largest, difference);
  }
  return largest;
}

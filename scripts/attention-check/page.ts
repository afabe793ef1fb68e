/** Runs in the browser: checks one folder that a server on loopback offers, with ONNX Runtime as the engine has it. */
import type { InferenceSession, Tensor } from 'onnxruntime-web';
import * as ort from 'onnxruntime-web/wasm';
import * as gpu from 'onnxruntime-web/webgpu';
import { externalPaths } from '../../webview/engine/graph/external-path.ts';
import { readModel } from '../../webview/engine/graph/onnx-model.ts';
import { type CheckedSession, checkFolder, type FolderReport, findUnfit, type TruthMeta } from './check-folder.ts';
import { checkSimdFolder } from './check-simd.ts';
import type { FileTensor } from './tensor-file.ts';

/** On a GPU in float32, as the fixtures' README has it. */
const gpuTolerance = 1e-3;
const gpuOutputs = 2e-2;

type Runtime = 'ort' | 'webgpu' | 'simd';

async function checkAddress(address: string, runtime: Runtime): Promise<FolderReport> {
  const read = async (file: string) => {
    const response = await fetch(`${address}/${encodeURIComponent(file)}`);
    if (!response.ok) throw new Error(`There is no file ${file}.`);
    return new Uint8Array(await response.arrayBuffer());
  };
  const meta = JSON.parse(new TextDecoder().decode(await read('meta.json'))) as TruthMeta;
  if (runtime === 'simd')
    return checkSimdFolder(meta, { read, kernels: await (await fetch('/kernels.wasm')).arrayBuffer() });
  const isGpu = runtime === 'webgpu';
  const { InferenceSession, Tensor } = isGpu ? gpu : ort;
  const open = async (graph: Uint8Array): Promise<CheckedSession> => {
    const providers = [isGpu ? 'webgpu' : 'wasm'];
    const paths = externalPaths(readModel(graph), 'The model graph');
    const externalData = await Promise.all(paths.map(async (path) => ({ path, data: await read(path) })));
    const options = { executionProviders: providers, logSeverityLevel: 4 as const, externalData };
    const session = await InferenceSession.create(graph, options);
    return { run: (feeds, names) => runSession(session, Tensor, { feeds, names }), release: () => session.release() };
  };
  if (!isGpu) return checkFolder(meta, { read, open });
  return checkFolder(meta, {
    read,
    open,
    attentionTolerance: Math.max(gpuTolerance, meta.tolerance.attention),
    outputTolerance: gpuOutputs,
    cannotRun: () => findUnfit(meta, { read, open }, gpuOutputs),
  });
}

interface RunRequest {
  readonly feeds: ReadonlyMap<string, FileTensor>;
  readonly names: readonly string[] | undefined;
}

async function runSession(session: InferenceSession, TensorType: typeof Tensor, { feeds, names }: RunRequest) {
  const inputs: Record<string, Tensor> = {};
  for (const name of session.inputNames) {
    const feed = feeds.get(name);
    if (!feed) throw new Error(`Nothing is given for the input ${name}.`);
    inputs[name] = new TensorType(feed.type as 'float32', feed.data as Float32Array, feed.dims);
  }
  const results = await (names ? session.run(inputs, names) : session.run(inputs));
  return new Map(
    Object.entries(results).map(([name, { type, dims, data }]) => [
      name,
      { type, dims, data: data as unknown as FileTensor['data'] },
    ]),
  );
}

async function start(runtime: Runtime, wasm: string): Promise<void> {
  const { env } = runtime === 'webgpu' ? gpu : ort;
  env.wasm.wasmBinary = await (await fetch(wasm)).arrayBuffer();
  env.wasm.numThreads = 1;
  env.logLevel = 'error';
}

Object.assign(globalThis, { attentionCheck: { start, checkAddress } });

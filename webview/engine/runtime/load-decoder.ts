/**
 * Loads a decoder from the bytes of its files: prepares its graph, chooses the device, checks the taps.
 *
 *   const { decoder, deviceReason, verdict, inspectionRefused, weightsBytes } = await loadDecoder(
 *     { graph, graphPath: 'onnx/model_q4.onnx', externalData: [{ path: 'onnx/model_q4.onnx_data', file }], config, ortWasm, kernels },
 *     { device: 'auto', modelId, onProgress, signal },
 *   );
 */
import { throwIfAborted } from '../../../src/shared/app-error.ts';
import type {
  Arithmetic,
  CachePrecision,
  DeviceChoice,
  LoadProgress,
  ModelInfo,
  Verdict,
} from '../../../src/shared/engine-contract.ts';
import type { Decoder } from '../decoder.ts';
import type { ExternalData } from '../graph/constant-floats.ts';
import { prepareDecoderGraph } from '../graph/decoder-graph.ts';
import { restoreZeroPoints } from '../graph/zero-points.ts';
import { type DecoderSource, openDecoder, wasmChunk } from './decoder-source.ts';
import { startOrt } from './ort-build.ts';
import type { OrtDecoder } from './ort-decoder.ts';
import { tapRefusal } from './output-agreement.ts';
import { compilePlan, openOwnRuntime } from './own-runtime.ts';
import { largestStep, sampleLogits } from './probe.ts';
import { selectRuntime } from './select-runtime.ts';
import type { Plan } from './simd/plan.ts';
import { checkTaps } from './tap-check.ts';
import { chooseAdapter } from './web-gpu-adapter.ts';

export interface ModelFiles {
  readonly graph: Uint8Array;
  /** Path inside the model folder, such as `onnx/model_q4.onnx`; external data is named relative to its folder. */
  readonly graphPath: string;
  readonly externalData: readonly ExternalData[];
  /** config.json */
  readonly config: Readonly<Record<string, unknown>>;
  /** Large, and read only when ONNX Runtime is used. */
  readonly ortWasm: () => Promise<ArrayBuffer>;
  /** Of our own runtime: with relaxed SIMD, and for engines that have none. */
  readonly kernels: { readonly relaxed: () => Promise<ArrayBuffer>; readonly plain: () => Promise<ArrayBuffer> };
}

export interface LoadOptions {
  readonly device: DeviceChoice;
  readonly runtime?: ModelInfo['runtime'] | undefined;
  /** Of our own runtime; absent: int8. */
  readonly arithmetic?: Arithmetic | undefined;
  /** Of our own runtime; absent: float32. */
  readonly cachePrecision?: CachePrecision | undefined;
  /** Memory that keys and values may take. */
  readonly cacheLimitBytes: number;
  readonly allowSoftwareAdapter?: boolean | undefined;
  readonly knownVerdict?: Verdict | undefined;
  readonly modelId: string;
  onProgress(progress: LoadProgress): void;
  readonly signal?: AbortSignal | undefined;
}

export interface LoadedDecoder {
  readonly decoder: Decoder;
  /** A sentence. */
  readonly deviceReason: string;
  readonly runtime: ModelInfo['runtime'];
  /** A sentence. */
  readonly runtimeReason: string;
  readonly verdict?: Verdict;
  readonly inspectionRefused?: string;
  readonly weightsBytes: number;
}

export async function loadDecoder(model: ModelFiles, options: LoadOptions): Promise<LoadedDecoder> {
  const { onProgress, signal, runtime } = options;
  onProgress({ phase: 'compile', done: 0, total: 2, message: 'Reading the model graph' });
  const files = relativeTo(model.graphPath, model.externalData);
  const own = (plan: Plan) => openOwnRuntime({ ...model, plan, externalData: files }, options);
  const weightsBytes = model.graph.length + files.reduce((sum, { file }) => sum + file.sizeBytes, 0);
  const compiled =
    runtime === 'ort' ? { refused: 'the settings ask for it' } : compilePlan({ ...model, externalData: files });
  if (runtime === 'simd' && 'refused' in compiled) throw compiled.error;
  const choice = await chooseAdapter(options);
  throwIfAborted(signal);
  if ('refused' in choice && 'plan' in compiled)
    return { ...(await own(compiled.plan)), deviceReason: choice.refused, weightsBytes };

  const source = await prepareSource(model, files);
  throwIfAborted(signal);
  const { verdict, sample } = await selectRuntime(source, choice, options);
  throwIfAborted(signal);
  const known = { deviceReason: verdict.reason, weightsBytes };
  if (verdict.device === 'wasm' && 'plan' in compiled) return { ...(await own(compiled.plan)), ...known, verdict };
  const { decoder, tapsEqual } = await openChecked(source, verdict, sample, options);
  onProgress({ phase: 'compile', done: 2, total: 2, message: 'The model is ready' });
  const why = verdict.device === 'webgpu' ? 'on WebGPU' : `because ${'refused' in compiled ? compiled.refused : ''}`;
  return {
    decoder,
    ...known,
    runtime: 'ort',
    runtimeReason: `ONNX Runtime, ${why}.`,
    verdict: { ...verdict, ...(tapsEqual !== undefined && { tapsEqual }) },
    ...('refused' in decoder.attention && { inspectionRefused: decoder.attention.refused }),
  };
}

async function prepareSource(model: ModelFiles, files: readonly ExternalData[]): Promise<DecoderSource> {
  const { graph: original, externalData } = restoreZeroPoints(model.graph, files);
  const graph = prepareDecoderGraph(original);
  const ort = await startOrt(model.ortWasm);
  return { ort, original, graph, externalData, config: model.config };
}

/** The edited graph when it computes the same as the untouched one, else the untouched one without inspection. */
async function openChecked(
  source: DecoderSource,
  { device, maxChunk, tapsEqual: known }: Verdict,
  sample: Float32Array | undefined,
  { onProgress, signal }: LoadOptions,
): Promise<{ decoder: OrtDecoder; tapsEqual: boolean | undefined }> {
  const compile = (done: number, message: string) => onProgress({ phase: 'compile', done, total: 2, message });
  const options = { device, maxChunk: maxChunk ?? (device === 'webgpu' ? largestStep : wasmChunk) };
  const open = (isEdited: boolean) => openDecoder(source, { ...options, isEdited });
  let expected = sample;
  if (!expected && known === undefined) {
    compile(0, 'Preparing the model: the graph as it came');
    const untouched = await open(false);
    expected = await sampleLogits(untouched);
    await untouched.dispose();
  }
  throwIfAborted(signal);
  let refusal = known === false ? tapRefusal({ output: 'logits', difference: Number.POSITIVE_INFINITY }) : undefined;
  if (!refusal) {
    compile(1, 'Preparing the model: the graph with its attention laid open');
    const edited = await open(true);
    refusal = expected && known === undefined ? await checkTaps(edited, expected) : undefined;
    edited.counters.forwardedTokens = 0;
    if (!refusal) return { decoder: edited, tapsEqual: true };
    await edited.dispose();
  }
  compile(1, 'Preparing the model: the graph as it came');
  const decoder = await openDecoder(source, { ...options, isEdited: false, refusal });
  return { decoder, tapsEqual: false };
}

/** External data is named in the graph relative to the graph's folder. */
function relativeTo(graphPath: string, files: readonly ExternalData[]): ExternalData[] {
  const folder = graphPath.slice(0, graphPath.lastIndexOf('/') + 1);
  return files.map(({ path, file }) => ({ path: path.startsWith(folder) ? path.slice(folder.length) : path, file }));
}

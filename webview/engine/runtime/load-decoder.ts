/**
 * Loads a decoder from the bytes of its files: prepares its graph, chooses the device, checks the taps.
 *
 *   const { decoder, deviceReason, verdict, inspectionRefused, weightsBytes } = await loadDecoder(
 *     { graph, graphPath: 'onnx/model_q4.onnx', externalData: [{ path: 'onnx/model_q4.onnx_data', bytes }], config, ortWasm },
 *     { device: 'auto', modelId, onProgress, signal },
 *   );
 */
import { throwIfAborted } from '../../../src/shared/app-error.ts';
import type { DeviceChoice, LoadProgress, Verdict } from '../../../src/shared/engine-contract.ts';
import type { Decoder } from '../decoder.ts';
import type { ExternalData } from '../graph/constant-floats.ts';
import { prepareDecoderGraph } from '../graph/decoder-graph.ts';
import { restoreZeroPoints } from '../graph/zero-points.ts';
import { type DecoderSource, openDecoder, wasmChunk } from './decoder-source.ts';
import { startOrt } from './ort-build.ts';
import type { OrtDecoder } from './ort-decoder.ts';
import { largestStep, sampleLogits } from './probe.ts';
import { selectRuntime } from './select-runtime.ts';
import { checkTaps, tapRefusal } from './tap-check.ts';

export interface ModelFiles {
  readonly graph: Uint8Array;
  /** Path inside the model folder, such as `onnx/model_q4.onnx`; external data is named relative to its folder. */
  readonly graphPath: string;
  readonly externalData: readonly ExternalData[];
  /** config.json */
  readonly config: Readonly<Record<string, unknown>>;
  readonly ortWasm: ArrayBuffer;
}

export interface LoadOptions {
  readonly device: DeviceChoice;
  readonly allowSoftwareAdapter?: boolean;
  readonly knownVerdict?: Verdict;
  readonly modelId: string;
  onProgress(progress: LoadProgress): void;
  readonly signal?: AbortSignal;
}

export interface LoadedDecoder {
  readonly decoder: Decoder;
  /** A sentence. */
  readonly deviceReason: string;
  readonly verdict?: Verdict;
  readonly inspectionRefused?: string;
  readonly weightsBytes: number;
}

export async function loadDecoder(model: ModelFiles, options: LoadOptions): Promise<LoadedDecoder> {
  const { onProgress, signal } = options;
  onProgress({ phase: 'compile', done: 0, total: 2, message: 'Reading the model graph' });
  const shipped = relativeTo(model.graphPath, model.externalData);
  const { graph: original, externalData } = restoreZeroPoints(model.graph, shipped);
  const graph = prepareDecoderGraph(original);
  const ort = startOrt(model.ortWasm);
  const source: DecoderSource = { ort, original, graph, externalData, config: model.config };
  throwIfAborted(signal);
  const { verdict, sample } = await selectRuntime(source, options);
  throwIfAborted(signal);
  const { decoder, tapsEqual } = await openChecked(source, verdict, sample, options);
  onProgress({ phase: 'compile', done: 2, total: 2, message: 'The model is ready' });
  return {
    decoder,
    deviceReason: verdict.reason,
    verdict: { ...verdict, ...(tapsEqual !== undefined && { tapsEqual }) },
    ...('refused' in decoder.attention && { inspectionRefused: decoder.attention.refused }),
    weightsBytes: model.graph.length + shipped.reduce((sum, { bytes }) => sum + bytes.length, 0),
  };
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
  let refusal = known === false ? tapRefusal() : undefined;
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
  return files.map(({ path, bytes }) => ({ path: path.startsWith(folder) ? path.slice(folder.length) : path, bytes }));
}

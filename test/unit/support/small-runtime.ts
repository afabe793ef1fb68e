/** Small decoders on the real ONNX Runtime, in Node. */
import { readFileSync } from 'node:fs';
import * as ort from 'onnxruntime-web/webgpu';
import { compileKernels } from '../../../scripts/kernels.mjs';
import type { Verdict } from '../../../src/shared/engine-contract.ts';
import { loadDecoder } from '../../../webview/engine/runtime/load-decoder.ts';
import type { Build } from './kernels.ts';
import { type SmallDecoderForm, smallConfig, smallDecoder } from './small-decoder.ts';

/** Where `run` can be watched; the types hide that the factory is a class. */
export const sessionPrototype = (ort.InferenceSession as unknown as { prototype: ort.InferenceSession }).prototype;

export function readOrtWasm(): ArrayBuffer {
  const bytes = readFileSync('node_modules/onnxruntime-web/dist/ort-wasm-simd-threaded.asyncify.wasm');
  return bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.byteLength);
}

const ortWasm = readOrtWasm();

let compiled: ReturnType<typeof compileKernels> | undefined;
const readKernels = (build: Build) => async () => {
  compiled ??= compileKernels();
  return (await compiled)[build].buffer;
};
const kernels = { relaxed: readKernels('relaxed'), plain: readKernels('plain') };

export function loadSmall(form: SmallDecoderForm = {}, knownVerdict?: Verdict) {
  return loadGraph(smallDecoder(form), smallConfig, knownVerdict);
}

export function loadGraph(graph: Uint8Array, config: Readonly<Record<string, unknown>>, knownVerdict?: Verdict) {
  return loadDecoder(
    {
      graph,
      graphPath: 'model.onnx',
      externalData: [],
      config,
      ortWasm: async () => ortWasm,
      kernels,
    },
    {
      device: 'wasm',
      runtime: 'ort',
      cacheLimitBytes: 2 ** 26,
      modelId: 'small',
      onProgress: () => {},
      ...(knownVerdict && { knownVerdict }),
    },
  );
}

/** `count` tokens of the small vocabulary. */
export const someTokens = (count: number): number[] => Array.from({ length: count }, (_, i) => (i * 17 + 3) % 50);

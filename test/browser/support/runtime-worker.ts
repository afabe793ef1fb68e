/** A worker for tests of the runtime alone: the same model on WebAssembly and on WebGPU, side by side. */
import { ByteFile } from '../../../webview/engine/byte-file.ts';
import type { Decoder } from '../../../webview/engine/decoder.ts';
import { prepareDecoderGraph } from '../../../webview/engine/graph/decoder-graph.ts';
import { createInspection } from '../../../webview/engine/inspect/inspection.ts';
import { compareLogits } from '../../../webview/engine/runtime/compare-logits.ts';
import { type DecoderSource, openDecoder, wasmChunk } from '../../../webview/engine/runtime/decoder-source.ts';
import { startOrt } from '../../../webview/engine/runtime/ort-build.ts';
import { largestStep, probe, takeReference } from '../../../webview/engine/runtime/probe.ts';
import { chooseAdapter } from '../../../webview/engine/runtime/web-gpu-adapter.ts';

export interface RuntimeFiles {
  readonly graph: Uint8Array;
  readonly data: Uint8Array;
  readonly config: Record<string, unknown>;
  readonly ortWasm: ArrayBuffer;
}

const ids = [504, 3575, 282, 4649];
/** The prompt length that tells right from wrong; 200 tokens take minutes on an adapter emulated in software. */
const lengths = [33];

async function largestAttentionDifference(one: Decoder, other: Decoder): Promise<number> {
  const [a, b] = [await createInspection(one, ids), await createInspection(other, ids)];
  let worst = 0;
  for (let layer = 0; layer < a.layers; layer++)
    for (let head = 0; head < a.heads; head++) {
      const [x, y] = [a.map(layer, head), b.map(layer, head)];
      for (const [i, weight] of x.entries()) worst = Math.max(worst, Math.abs(weight - y[i]!));
    }
  return worst;
}

/** One more token after `ids`: from a cache that was cropped, from a fork, and from a cache that was neither. */
async function cacheDifference(decoder: Decoder): Promise<number> {
  const next = async (cache: ReturnType<Decoder['createCache']>) =>
    (await decoder.forward(cache, [30], { logits: 'last' })).logits;
  const cache = decoder.createCache();
  await decoder.forward(cache, ids, { logits: 'none' });
  const [fork, plain] = [cache.fork(), cache.fork()];
  await decoder.forward(cache, [1, 2, 3], { logits: 'none' });
  cache.crop(ids.length);
  fork.crop(ids.length - 1);
  await decoder.forward(fork, ids.slice(-1), { logits: 'none' });
  const expected = await next(plain);
  const apart = async (other: Float32Array) => compareLogits(expected, other, decoder.vocabSize).absolute;
  return Math.max(await apart(await next(cache)), await apart(await next(fork)));
}

async function compareDevices({ graph, data, config, ortWasm }: RuntimeFiles) {
  const source: DecoderSource = {
    ort: await startOrt(async () => ortWasm),
    original: graph,
    graph: prepareDecoderGraph(graph),
    externalData: [{ path: 'model_q4.onnx_data', file: ByteFile.of(data) }],
    config,
  };
  const watch = { onProgress: () => {} };
  const wasm = await openDecoder(source, { device: 'wasm', isEdited: true, maxChunk: wasmChunk });
  const reference = await takeReference(wasm, watch, Math.max(...lengths));
  const webGpu = await openDecoder(source, { device: 'webgpu', isEdited: true, maxChunk: largestStep });
  return {
    automatic: await chooseAdapter({ device: 'auto' }),
    probed: await probe(webGpu, reference, watch, lengths),
    attention: await largestAttentionDifference(wasm, webGpu),
    caches: await cacheDifference(webGpu),
  };
}

addEventListener('message', ({ data }: MessageEvent<RuntimeFiles>) => {
  compareDevices(data).then(
    (value) => postMessage({ value }),
    (error: unknown) => postMessage({ error: String(error) }),
  );
});

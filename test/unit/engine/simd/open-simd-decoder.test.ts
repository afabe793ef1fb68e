/** Laying out the bundled model: each byte is in memory once, whether in its file or in its packed place. */
import { readFileSync } from 'node:fs';
import { expect, test, vi } from 'vitest';
import { compileKernels } from '../../../../scripts/kernels.mjs';
import { ByteFile } from '../../../../webview/engine/byte-file.ts';
import { readModel } from '../../../../webview/engine/graph/onnx-model.ts';
import { compileDecoder } from '../../../../webview/engine/runtime/simd/compile/compile-graph.ts';
import { Machine } from '../../../../webview/engine/runtime/simd/machine.ts';
import { openSimdDecoder } from '../../../../webview/engine/runtime/simd/open-simd-decoder.ts';

const folder = new URL('../../../../media/models/SmolLM2-135M-Instruct/onnx/', import.meta.url);

/** Node 20 has none yet. */
function transfer(this: ArrayBuffer): ArrayBuffer {
  structuredClone(this, { transfer: [this] });
  return new ArrayBuffer(0);
}

test('takes hardly more memory than the weights', async () => {
  if (!('transfer' in ArrayBuffer.prototype))
    Object.defineProperty(ArrayBuffer.prototype, 'transfer', { value: transfer, configurable: true });
  const chunks = inChunks(readFileSync(new URL('model_q4.onnx_data', folder)), 2 ** 22);
  const sizeBytes = chunks.reduce((sum, { byteLength }) => sum + byteLength, 0);
  const externalData = [{ path: 'model_q4.onnx_data', file: new ByteFile(chunks) }];
  const graph = new Uint8Array(readFileSync(new URL('model_q4.onnx', folder)));
  const plan = compileDecoder(readModel(graph), { externalData });
  const opened = vi.spyOn(Machine, 'open');
  let peak = 0;
  const onProgress = async () => {
    const machine: Machine = await opened.mock.results[0]!.value;
    const unread = chunks.reduce((sum, { byteLength }) => sum + byteLength, 0);
    peak = Math.max(peak, unread + machine.sizeBytes);
  };
  const decoder = await openSimdDecoder(
    { plan, externalData, kernels: await compileKernels(), contextLength: 8192 },
    { arithmetic: 'int8', cachePrecision: 'float32', cacheLimitBytes: 2 ** 28, onProgress },
  );
  expect(chunks.every(({ byteLength }) => byteLength === 0)).toBe(true);
  expect(peak).toBeGreaterThan(sizeBytes / 2);
  expect(peak).toBeLessThan(1.2 * sizeBytes);
  expect(decoder.counters.wasmBytes).toBeLessThan(1.2 * sizeBytes);
}, 60_000);

function inChunks(bytes: Uint8Array, size: number): ArrayBuffer[] {
  const chunks: ArrayBuffer[] = [];
  for (let at = 0; at < bytes.length; at += size) chunks.push(new Uint8Array(bytes.subarray(at, at + size)).buffer);
  return chunks;
}

/**
 * Starts ONNX Runtime Web from bytes that the page fetches: a worker made from a blob cannot fetch, and nothing may come
 * from the network.
 */
import type * as Ort from 'onnxruntime-web';
import * as ort from 'onnxruntime-web/webgpu';
import { AppError } from '../../../src/shared/app-error.ts';

export type { Ort };

export async function startOrt(readWasm: () => Promise<ArrayBuffer>): Promise<typeof Ort> {
  if (!hasWasmSimd())
    throw new AppError(
      'unsupported-platform',
      'This browser engine has no WebAssembly SIMD, which Glasshead needs. Update VS Code or the browser it runs in.',
    );
  ort.env.wasm.wasmBinary = await readWasm();
  // transformers.js, which shares this module, names a server on the network here as soon as it is imported.
  delete ort.env.wasm.wasmPaths;
  // Webviews are not cross-origin isolated; and more threads would need a script address, which a blob worker has not.
  ort.env.wasm.numThreads = 1;
  ort.env.wasm.proxy = false;
  ort.env.logLevel = 'error';
  return ort;
}

/** Validates a module of one SIMD instruction: () => i8x16.popcnt(i8x16.splat(0)). */
function hasWasmSimd(): boolean {
  const code = [
    0, 97, 115, 109, 1, 0, 0, 0, 1, 5, 1, 96, 0, 1, 123, 3, 2, 1, 0, 10, 10, 1, 8, 0, 65, 0, 253, 15, 253, 98, 11,
  ];
  return WebAssembly.validate(Uint8Array.from(code));
}

/** Says in a sentence what this browser lacks, before a hundred megabytes are read in vain. */
import { AppError } from '../../src/shared/app-error.ts';

/** (module (func (drop (v128.const ...)))), the smallest module that only an engine with SIMD accepts. */
const simdModule = new Uint8Array([
  ...[0, 97, 115, 109, 1, 0, 0, 0, 1, 4, 1, 96, 0, 0, 3, 2, 1, 0, 10, 23, 1, 21, 0, 253, 12],
  ...[0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 26, 11],
]);

/** @throws AppError `unsupported-platform`. */
export function checkPlatform(): void {
  if (typeof WebAssembly === 'undefined')
    throw new AppError('unsupported-platform', `WebAssembly is turned off in this editor. ${remedy}`);
  if (!WebAssembly.validate(simdModule))
    throw new AppError('unsupported-platform', `WebAssembly has no SIMD here, and the model needs it. ${remedy}`);
}

const remedy = 'Use a current VS Code on a processor with SIMD (SSE 4.1 or NEON), without --js-flags that turn it off.';

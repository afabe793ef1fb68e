/** The kernels of the SIMD runtime, compiled once for a test file, in a memory of their own. */
import { compileKernels } from '../../../scripts/kernels.mjs';

export type Build = 'relaxed' | 'plain';

export const builds: readonly Build[] = ['relaxed', 'plain'];

export interface Kernels {
  readonly memory: WebAssembly.Memory;
  /** What assembly/index.ts exports. */
  readonly exports: Record<string, (...args: number[]) => number>;
}

let compiled: ReturnType<typeof compileKernels> | undefined;

export async function openKernels(build: Build, pages = 256): Promise<Kernels> {
  compiled ??= compileKernels();
  const memory = new WebAssembly.Memory({ initial: pages });
  const { instance } = await WebAssembly.instantiate((await compiled)[build], { env: { memory } });
  return { memory, exports: instance.exports as Kernels['exports'] };
}

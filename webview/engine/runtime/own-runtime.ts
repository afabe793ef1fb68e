/** Glasshead's own kernels, for the graphs that they know. */
import { type AppError, toAppError } from '../../../src/shared/app-error.ts';
import type { Arithmetic, CachePrecision, LoadProgress } from '../../../src/shared/engine-contract.ts';
import type { Decoder } from '../decoder.ts';
import type { ExternalData } from '../graph/constant-floats.ts';
import { readModel } from '../graph/onnx-model.ts';
import { contextLengthOf } from './decoder-source.ts';
import { openThreads, type ThreadPlatform } from './own-threads.ts';
import { compileDecoder } from './simd/compile/compile-graph.ts';
import { openSimdDecoder } from './simd/open-simd-decoder.ts';
import type { Plan } from './simd/plan.ts';

export interface GraphSource {
  readonly graph: Uint8Array;
  /** Named as the graph names it. */
  readonly externalData: readonly ExternalData[];
  /** config.json */
  readonly config: Readonly<Record<string, unknown>>;
}

export type Compiled = { readonly plan: Plan } | { readonly refused: string; readonly error?: AppError };

/** For our own kernels, or part of a sentence that says why not. A damaged graph is not for ONNX Runtime either. */
export function compilePlan({ graph, externalData, config }: GraphSource): Compiled {
  try {
    return { plan: compileDecoder(readModel(graph), { externalData, contextLength: contextLengthOf(config) }) };
  } catch (thrown) {
    const error = toAppError(thrown);
    if (error.code !== 'model-unsupported') throw error;
    return { refused: error.message.replace(/\.$/, ''), error };
  }
}

export interface OwnSource extends Omit<GraphSource, 'graph'> {
  readonly plan: Plan;
  readonly kernels: KernelFiles;
}

type ReadKernels = () => Promise<ArrayBuffer>;

/** With relaxed SIMD and for engines that have none, for one thread and for several. */
export interface KernelFiles {
  readonly relaxed: ReadKernels;
  readonly plain: ReadKernels;
  readonly relaxedThreads: ReadKernels;
  readonly plainThreads: ReadKernels;
}

export interface OwnOptions {
  readonly arithmetic?: Arithmetic | undefined;
  readonly cachePrecision?: CachePrecision | undefined;
  /** Absent or 0: automatic. */
  readonly threads?: number | undefined;
  /** Absent: as it is. */
  readonly platform?: ThreadPlatform | undefined;
  readonly cacheLimitBytes: number;
  onProgress(progress: LoadProgress): void;
  readonly signal?: AbortSignal | undefined;
}

export interface OwnRuntime {
  readonly decoder: Decoder;
  readonly runtime: 'simd';
  /** A sentence. */
  readonly runtimeReason: string;
}

/** The weights are taken from their files, which cannot be read again. */
export async function openOwnRuntime(
  { plan, externalData, config, kernels }: OwnSource,
  options: OwnOptions,
): Promise<OwnRuntime> {
  const { arithmetic = 'int8', cachePrecision = 'float32', cacheLimitBytes, onProgress, signal } = options;
  const isRelaxed = hasRelaxedSimd();
  const { machine, how: threads } = await openThreads(
    options.threads ?? 0,
    isRelaxed ? kernels.relaxedThreads : kernels.plainThreads,
    options.platform,
  );
  const single = async () => (isRelaxed ? { relaxed: await kernels.relaxed() } : { plain: await kernels.plain() });
  const decoder = await openSimdDecoder(
    { plan, externalData, kernels: machine ?? (await single()), contextLength: contextLengthOf(config) },
    { arithmetic, cachePrecision, cacheLimitBytes, onProgress, ...(signal && { signal }) },
  ).catch((thrown: unknown) => {
    machine?.close();
    throw thrown;
  });
  onProgress({ phase: 'compile', done: 2, total: 2, message: 'The model is ready' });
  const how = [
    isRelaxed ? 'relaxed SIMD' : 'SIMD',
    arithmetic === 'int8' ? 'int8 activations' : 'float32 activations',
    ...(cachePrecision === 'float16' ? ['keys and values in float16'] : []),
    threads,
  ];
  return { decoder, runtime: 'simd', runtimeReason: `Glasshead’s own kernels: ${how.join(', ')}.` };
}

/** Validates a module of one instruction: (a, b) => i16x8.relaxed_dot_i8x16_i7x16_s(a, b). */
function hasRelaxedSimd(): boolean {
  const code = [
    0, 97, 115, 109, 1, 0, 0, 0, 1, 7, 1, 96, 2, 123, 123, 1, 123, 3, 2, 1, 0, 10, 11, 1, 9, 0, 32, 0, 32, 1, 253, 146,
    2, 11,
  ];
  return WebAssembly.validate(Uint8Array.from(code));
}

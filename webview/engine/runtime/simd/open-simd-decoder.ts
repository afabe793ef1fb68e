/** Makes a decoder of a plan: packs the weights in the order of their file, writes the plan, lays out the cache. */
import { throwIfAborted } from '../../../../src/shared/app-error.ts';
import type { Arithmetic, CachePrecision, LoadProgress } from '../../../../src/shared/engine-contract.ts';
import type { ExternalData } from '../../graph/constant-floats.ts';
import { nextTask } from '../next-task.ts';
import { encodePlan, type PackedMatrix } from './encode-plan.ts';
import { Machine } from './machine.ts';
import { packMatrix } from './pack-weights.ts';
import { PagePool } from './page-pool.ts';
import type { LinearWeight, Plan } from './plan.ts';
import { SimdDecoder } from './simd-decoder.ts';
import { firstOffset, identityOf, TensorReader } from './tensor-reader.ts';

export interface SimdSource {
  readonly plan: Plan;
  readonly externalData: readonly ExternalData[];
  /** Builds for one thread, or a machine that nothing was laid out in. */
  readonly kernels: { readonly relaxed?: BufferSource; readonly plain?: BufferSource } | Machine;
  readonly contextLength: number;
}

export interface SimdOptions {
  readonly arithmetic: Arithmetic;
  readonly cachePrecision: CachePrecision;
  /** Memory that keys and values may take. */
  readonly cacheLimitBytes: number;
  readonly onProgress?: (progress: LoadProgress) => void;
  readonly signal?: AbortSignal | undefined;
}

/** A chunk of the bundled model takes about 100 ms, so that a cancel waits no longer. */
const maxRows = 32;

/**
 * Bytes of the files are given back as they are packed: afterwards `externalData` cannot be read any more.
 * @throws AppError `model-damaged` or `model-unsupported` naming the tensor, `out-of-memory`, `cancelled`.
 */
export async function openSimdDecoder(source: SimdSource, options: SimdOptions): Promise<SimdDecoder> {
  const { plan, kernels } = source;
  const machine = kernels instanceof Machine ? kernels : await Machine.open(kernels);
  const packed = await packAll(machine, source, options);
  const encoded = encodePlan(machine, plan, { maxRows, pack: (weight) => packed.get(identityOf(weight))! });
  const { layers, kvHeads, headDim } = plan;
  const numberBytes = options.cachePrecision === 'float16' ? 2 : 4;
  const pool = new PagePool(machine, { layers, kvHeads, headDim, numberBytes }, options.cacheLimitBytes);
  const contextLength = Math.min(source.contextLength, plan.maxPositions);
  return new SimdDecoder({ machine, plan, encoded, pool, contextLength, maxRows, arithmetic: options.arithmetic });
}

async function packAll(
  machine: Machine,
  { plan, externalData }: SimdSource,
  { onProgress, signal }: SimdOptions,
): Promise<Map<string, PackedMatrix>> {
  const weights = new Map<string, LinearWeight>();
  for (const weight of weightsOf(plan)) weights.set(identityOf(weight), weight);
  const reader = new TensorReader(externalData, [...weights.values()]);
  const inOrder = [...weights].sort(([, a], [, b]) => firstOffset(a) - firstOffset(b));
  const packed = new Map<string, PackedMatrix>();
  for (const [identity, weight] of inOrder) {
    throwIfAborted(signal);
    const message = 'Laying out the weights';
    onProgress?.({ phase: 'compile', done: packed.size, total: inOrder.length, message });
    packed.set(identity, packMatrix(machine, weight, reader.read));
    reader.release(weight);
    if (packed.size % 16 === 0) await nextTask(); // a cancel arrives as a message
  }
  return packed;
}

function weightsOf({ steps }: Plan): LinearWeight[] {
  return steps.flatMap((step) => (step.op === 'linear' ? [step.weight] : step.op === 'embed' ? [step.table] : []));
}

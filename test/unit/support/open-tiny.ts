/** A tiny decoder on our own kernels, with the same plan in float64 beside it. */
import { compileKernels } from '../../../scripts/kernels.mjs';
import type { ExternalData } from '../../../webview/engine/graph/constant-floats.ts';
import { compileDecoder } from '../../../webview/engine/runtime/simd/compile/compile-graph.ts';
import { openSimdDecoder } from '../../../webview/engine/runtime/simd/open-simd-decoder.ts';
import type { Plan } from '../../../webview/engine/runtime/simd/plan.ts';
import type { SimdDecoder } from '../../../webview/engine/runtime/simd/simd-decoder.ts';
import type { Build } from './kernels.ts';
import { PlanReference } from './plan-reference.ts';
import { type TinyParts, tiny, tinyDecoder } from './tiny-decoder.ts';

let kernels: ReturnType<typeof compileKernels> | undefined;

export interface OpenedTiny {
  readonly decoder: SimdDecoder;
  readonly plan: Plan;
  readonly reference: PlanReference;
}

export async function openTiny(parts: TinyParts = {}, build: Build = 'relaxed'): Promise<OpenedTiny> {
  return openPlan(compileDecoder(tinyDecoder(parts), { contextLength: tiny.context }), { build });
}

interface PlanWishes {
  readonly build?: Build;
  readonly externalData?: readonly ExternalData[];
  readonly contextLength?: number;
}

export async function openPlan(
  plan: Plan,
  { build = 'relaxed', externalData = [], contextLength = tiny.context }: PlanWishes = {},
): Promise<OpenedTiny> {
  kernels ??= compileKernels();
  const decoder = await openSimdDecoder(
    { plan, externalData, kernels: { [build]: (await kernels)[build] }, contextLength },
    { arithmetic: 'float32', cachePrecision: 'float32', cacheLimitBytes: 2 ** 28 },
  );
  const reference = new PlanReference(plan, ({ source }) => ('bytes' in source ? source.bytes : new Uint8Array(0)));
  return { decoder, plan, reference };
}

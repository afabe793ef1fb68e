/** Reads one layer's Q, K and V from the outputs of a run: Q rotated as the operator does it, K and V from the present. */
import type { Tensor } from 'onnxruntime-web';
import type { AttentionSpec, LayerTap } from '../decoder.ts';
import type { AttentionNode } from '../graph/attention-nodes.ts';
import type { ConstantFloats } from '../graph/constant-floats.ts';
import { type RotaryCache, rotatedHeads } from '../inspect/rotary.ts';
import { tensorFloats } from './tensor-floats.ts';

export interface LayerTapper {
  readonly spec: AttentionSpec;
  /** What a run must fetch besides the present. */
  readonly fetches: readonly string[];
  /** `past` tokens stood before those of the run. Keys and values only `withPast`. */
  read(outputs: Readonly<Record<string, Tensor>>, past: number, withPast: boolean): Promise<LayerTap>;
}

/** `constants` has the rotary caches that are constants of the graph; others are fetched. */
export function createLayerTapper(
  layer: AttentionNode,
  headDim: number,
  constants: ReadonlyMap<string, ConstantFloats>,
): LayerTapper {
  const { query, presentKey, presentValue, heads, kvHeads, isPacked, rotary, scale, softcap, window } = layer;
  const stride = (isPacked ? heads + 2 * kvHeads : heads) * headDim;
  const computed = rotary ? [rotary.cos, rotary.sin].filter((name) => !constants.has(name)) : [];

  const rotaryCache = async (outputs: Readonly<Record<string, Tensor>>): Promise<RotaryCache | undefined> => {
    if (!rotary) return undefined;
    const floats = async (name: string) => constants.get(name)?.data ?? (await tensorFloats(outputs[name]!));
    const half = (constants.get(rotary.cos)?.dims ?? outputs[rotary.cos]!.dims).at(-1)!;
    return { cos: await floats(rotary.cos), sin: await floats(rotary.sin), half, isInterleaved: rotary.isInterleaved };
  };

  return {
    spec: {
      scale: scale ?? 1 / Math.sqrt(headDim),
      ...(softcap !== undefined && { softcap }),
      ...(window !== undefined && { window }),
    },
    fetches: [query, ...computed],
    async read(outputs, past, withPast) {
      const floats = (name: string) => (withPast ? tensorFloats(outputs[name]!) : new Float32Array(0));
      const rows = await tensorFloats(outputs[query]!);
      return {
        query: rotatedHeads(rows, { heads, headDim, stride }, await rotaryCache(outputs), past),
        key: await floats(presentKey),
        value: await floats(presentValue),
      };
    },
  };
}

/** Reads keys and values of a cache back, as inspection wants them. */
import { halfToFloat } from '../../graph/half.ts';
import type { Machine } from './machine.ts';
import { type CacheShape, paddedDim, pageTokens } from './page-pool.ts';
import type { SimdCache } from './simd-cache.ts';

/** Both [kvHead, token, headDim]. */
export function readPast(
  machine: Machine,
  { kvHeads, headDim, numberBytes }: CacheShape,
  cache: SimdCache,
  layer: number,
): { key: Float32Array; value: Float32Array } {
  const { length, pages } = cache;
  const padded = paddedDim(headDim);
  const key = new Float32Array(kvHeads * length * headDim);
  const value = new Float32Array(kvHeads * length * headDim);
  const keyNumbers = kvHeads * headDim * pageTokens;
  const numbers = kvHeads * pageTokens * (headDim + padded);
  for (const [index, { address }] of pages.entries()) {
    const first = index * pageTokens;
    const tokens = Math.min(pageTokens, length - first);
    const data = readNumbers(machine, address + layer * numbers * numberBytes, numbers, numberBytes);
    for (let head = 0; head < kvHeads; head++)
      for (let token = 0; token < tokens; token++) {
        const to = (head * length + first + token) * headDim;
        const keyAt = (head * pageTokens + (token & 16)) * headDim + (token & 15);
        const valueAt = keyNumbers + head * pageTokens * padded;
        for (let dim = 0; dim < headDim; dim++) {
          const block = dim & ~15;
          key[to + dim] = data[keyAt + dim * 16]!;
          value[to + dim] = data[valueAt + block * pageTokens + token * Math.min(16, padded - block) + dim - block]!;
        }
      }
  }
  return { key, value };
}

function readNumbers(machine: Machine, address: number, count: number, numberBytes: 4 | 2): Float32Array {
  if (numberBytes === 4) return machine.floats(address, count);
  return halfToFloat(new Uint16Array(machine.memory.buffer, address, count));
}

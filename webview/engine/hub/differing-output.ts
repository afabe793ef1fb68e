/** Whether two runs of one graph gave the same numbers. */
import { halfToFloat } from '../graph/half.ts';
import type { FetchedTensor } from '../inspect/tensor-view.ts';

/** Same kernels on the same numbers differ by less, or not at all; beyond 1 relative to the number. */
const tolerance = 1e-5;

export interface Difference {
  readonly name: string;
  readonly by: number;
}

type Outputs = Readonly<Record<string, Pick<FetchedTensor, 'dims' | 'type'> & { readonly data: unknown }>>;

/** The first output that differs by more than 1e-5 in any number, or in shape. */
export function differingOutput(expected: Outputs, actual: Outputs): Difference | undefined {
  for (const [name, tensor] of Object.entries(expected)) {
    const by = actual[name] ? largestDifference(numbersOf(tensor), numbersOf(actual[name])) : Number.POSITIVE_INFINITY;
    if (by > tolerance) return { name, by };
  }
  return undefined;
}

function largestDifference(expected: ArrayLike<number | bigint>, actual: ArrayLike<number | bigint>): number {
  if (expected.length !== actual.length) return Number.POSITIVE_INFINITY;
  let largest = 0;
  for (let i = 0; i < expected.length; i++) {
    const [a, b] = [Number(expected[i]), Number(actual[i])];
    if (Object.is(a, b) || a === b) continue;
    const difference = Math.abs(a - b) / Math.max(1, Math.abs(a));
    if (!(difference <= largest)) largest = Number.isNaN(difference) ? Number.POSITIVE_INFINITY : difference;
  }
  return largest;
}

function numbersOf({ data, type }: Outputs[string]): ArrayLike<number | bigint> {
  return type === 'float16' && data instanceof Uint16Array ? halfToFloat(data) : (data as ArrayLike<number | bigint>);
}

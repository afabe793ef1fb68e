/** Whether a graph whose attention is laid open still computes what it did: its own outputs, with and without. */
import type { GraphProto } from '../graph/onnx_pb.js';
import { TensorProto_DataType } from '../graph/onnx_pb.js';

/** Numbers of one output of a run. */
interface OutputNumbers {
  readonly data: ArrayLike<number> | ArrayLike<bigint>;
}

interface OutputDifference {
  readonly output: string;
  /** Infinite where one has numbers that the other has not. */
  readonly difference: number;
}

/** Kernels that are fused otherwise add in another order. */
const floatTolerance = 1e-5;
/** Of the largest number: where the CPU has no float16 kernels it rounds to float16 between others. */
const halfTolerance = 2 ** -8;

/**
 * How far outputs may be apart: by nothing where numbers are rounded to integers, because there the same operators run;
 * absolutely for float32, and as a part of the largest number where there are float16 weights.
 */
export function outputTolerance(graph: GraphProto): { readonly absolute: number; readonly ofLargest: number } {
  const bodies = [graph];
  let [isRounded, isHalf] = [false, false];
  for (let body = bodies.pop(); body; body = bodies.pop()) {
    isHalf ||= body.initializer.some(
      ({ dataType, dims }) => dataType === TensorProto_DataType.FLOAT16 && dims.length > 1,
    );
    for (const { opType, attribute } of body.node) {
      isRounded ||= /Integer|NBits|QuantizeLinear|^QLinear|BlockQuantized/.test(opType);
      for (const { g, graphs } of attribute) bodies.push(...(g ? [g] : graphs));
    }
  }
  if (isHalf) return { absolute: 0, ofLargest: halfTolerance };
  return { absolute: isRounded ? 0 : floatTolerance, ofLargest: 0 };
}

/** The output that differs most of those that differ too much; of one run each on the same feeds and device. */
export function worstOutput(
  untouched: ReadonlyMap<string, OutputNumbers>,
  tapped: ReadonlyMap<string, OutputNumbers>,
  { absolute, ofLargest }: ReturnType<typeof outputTolerance>,
): OutputDifference | undefined {
  let worst: OutputDifference | undefined;
  for (const [output, before] of untouched) {
    const { difference, largest } = compare(before.data, tapped.get(output)?.data);
    const isWorse = difference > absolute + ofLargest * largest && difference > (worst?.difference ?? 0);
    if (isWorse) worst = { output, difference };
  }
  return worst;
}

/** What the user is told. */
export function tapRefusal({ output, difference }: OutputDifference): string {
  const amount = Number.isFinite(difference) ? ` by ${difference.toPrecision(2)}` : '';
  return `Attention of this model cannot be read: naming its queries and keys as outputs changes its output "${output}"${amount}. Prompts and completions work.`;
}

function compare(
  a: OutputNumbers['data'],
  b: OutputNumbers['data'] | undefined,
): { difference: number; largest: number } {
  if (a.length !== b?.length) return { difference: Number.POSITIVE_INFINITY, largest: 0 };
  let [difference, largest] = [0, 0];
  for (let i = 0; i < a.length; i++) {
    const [x, y] = [Number(a[i]), Number(b[i])];
    if (Number.isFinite(x)) largest = Math.max(largest, Math.abs(x));
    if (x === y || (Number.isNaN(x) && Number.isNaN(y))) continue;
    const apart = Math.abs(x - y);
    difference = Number.isNaN(apart) ? Number.POSITIVE_INFINITY : Math.max(difference, apart);
  }
  return { difference, largest };
}

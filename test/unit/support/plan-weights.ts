/** Rows of the weights of a plan as float64, read one at a time: nothing is kept, so a large model fits too. */
import { brainFloatToFloat, halfToFloat } from '../../../webview/engine/graph/half.ts';
import type {
  BlockWeight,
  ChannelWeight,
  FloatWeight,
  LinearWeight,
  TensorRef,
} from '../../../webview/engine/runtime/simd/plan.ts';

export type ReadTensor = (ref: TensorRef) => Uint8Array;

/** Returns a reader: row -> Float64Array [columns]. */
export function weightRows(weight: LinearWeight, read: ReadTensor): (row: number) => Float64Array {
  if (weight.kind === 'blocks') return blockRows(weight, read);
  return weight.kind === 'float' ? floatRows(weight, read) : channelRows(weight, read);
}

function blockRows(weight: BlockWeight, read: ReadTensor): (row: number) => Float64Array {
  const { bits, blockSize, rows, columns } = weight;
  const blocks = Math.ceil(columns / blockSize);
  const quantised = expectLength(weight.quantised, read(weight.quantised), (rows * blocks * blockSize * bits) / 8);
  const scales = floats(weight.scales, read);
  const zeroPoint = zeroPoints(weight, blocks, read);
  return (row) =>
    Float64Array.from({ length: columns }, (_, column) => {
      const block = Math.floor(column / blockSize);
      const q = unsigned(quantised, row * blocks * blockSize + column, bits);
      return (q - zeroPoint(row, block)) * scales[row * blocks + block]!;
    });
}

function zeroPoints(
  { zeroPoints: points, bits }: BlockWeight,
  blocks: number,
  read: ReadTensor,
): (row: number, block: number) => number {
  if (typeof points === 'number') return () => points;
  if (points.type !== 'uint8') {
    const values = floats(points, read);
    return (row, block) => values[row * blocks + block]!;
  }
  const bytes = read(points);
  const perRow = bits === 4 ? Math.ceil(blocks / 2) * 2 : blocks; // a row begins with a new byte
  return (row, block) => unsigned(bytes, row * perRow + block, bits);
}

function floatRows({ rows, columns, tensor, isTransposed }: FloatWeight, read: ReadTensor) {
  const values = floats(tensor, read);
  return (row: number) =>
    Float64Array.from(
      { length: columns },
      (_, column) => values[isTransposed ? column * rows + row : row * columns + column]!,
    );
}

function channelRows(
  { rows, columns, tensor, isTransposed, scales, zeroPoints: points }: ChannelWeight,
  read: ReadTensor,
) {
  const bytes = read(tensor);
  const values = tensor.type === 'int8' ? new Int8Array(bytes.buffer, bytes.byteOffset, bytes.length) : bytes;
  const of = (list: Float32Array, row: number) => (list.length === 1 ? list[0]! : list[row]!);
  return (row: number) =>
    Float64Array.from({ length: columns }, (_, column) => {
      const q = values[isTransposed ? column * rows + row : row * columns + column]!;
      return (q - of(points, row)) * of(scales, row);
    });
}

/** Number `index` of those packed in bytes; of two in a byte, the lower half is the earlier. */
function unsigned(bytes: Uint8Array, index: number, bits: 4 | 8): number {
  if (bits === 8) return bytes[index]!;
  const byte = bytes[index >> 1]!;
  return index & 1 ? byte >> 4 : byte & 15;
}

function floats(ref: TensorRef, read: ReadTensor): Float32Array {
  const bytes = read(ref).slice(); // its own buffer, aligned
  const count = ref.dims.reduce((a, b) => a * b, 1);
  expectLength(ref, bytes, count * (ref.type === 'float32' ? 4 : 2));
  if (ref.type === 'float32') return new Float32Array(bytes.buffer);
  if (ref.type === 'float16') return halfToFloat(new Uint16Array(bytes.buffer));
  if (ref.type === 'bfloat16') return brainFloatToFloat(new Uint16Array(bytes.buffer));
  throw new TypeError(`${ref.name} is ${ref.type}, not floats.`);
}

function expectLength({ name }: TensorRef, bytes: Uint8Array, length: number): Uint8Array {
  if (bytes.length !== length) throw new RangeError(`${name} has ${bytes.length} bytes, not ${length}.`);
  return bytes;
}

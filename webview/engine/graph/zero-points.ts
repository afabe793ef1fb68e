/**
 * Gives rounded zero points their exact value back.
 *
 * A 4-bit weight is `(q - zeroPoint) * scale`, so `-zeroPoint * scale` is the smallest weight of its block. Files that
 * are made from GGUF (Q4_1 stores that minimum) hold `zeroPoint` as float16, off by up to 2^-11 of itself: enough to
 * move log-probabilities by 0.07. Models are trained in bfloat16, whose neighbours are at least 2^-8 apart, so where
 * every product of a tensor lies within the rounding error of a bfloat16 number, those numbers are the minima. By chance
 * a product does so one time in four, a tensor of hundreds never.
 */
import { create } from '@bufbuild/protobuf';
import { ByteFile } from '../byte-file.ts';
import { constantFloats, type ExternalData } from './constant-floats.ts';
import {
  StringStringEntryProtoSchema,
  type TensorProto,
  TensorProto_DataLocation,
  TensorProto_DataType,
  TensorProtoSchema,
} from './onnx_pb.js';
import { isOperator, type OnnxModel, producersOf, readModel, writeModel } from './onnx-model.ts';

/** Half a unit in the last place of float16, relative to the number. */
const roundingError = 2 ** -11;
/** With fewer blocks than this, agreement could be chance. */
const leastBlocks = 64;

const restoredPath = 'restored-zero-points';

export interface RestoredModel {
  readonly graph: Uint8Array;
  readonly externalData: readonly ExternalData[];
  /** Tensors that were restored; 0 leaves both of the above as they came. */
  readonly restored: number;
}

/** For every MatMulNBits whose zero points are a cast from float16. @throws AppError `model-damaged` on missing weights. */
export function restoreZeroPoints(graph: Uint8Array, externalData: readonly ExternalData[]): RestoredModel {
  const model = readModel(graph);
  const restored: { tensor: TensorProto; data: Float32Array }[] = [];
  let offset = 0;
  for (const { zeroPoints, scales, use } of roundedZeroPoints(model)) {
    const rounded = constantFloats(model, zeroPoints, externalData);
    const scale = constantFloats(model, scales, externalData);
    const data = rounded && scale && exactZeroPoints(rounded.data, scale.data);
    if (!data) continue;
    const tensor = create(TensorProtoSchema, {
      name: `${zeroPoints}/restored`,
      dataType: TensorProto_DataType.FLOAT,
      dims: rounded.dims.map(BigInt),
      dataLocation: TensorProto_DataLocation.EXTERNAL,
      externalData: Object.entries({ location: restoredPath, offset, length: data.byteLength }).map(([key, value]) =>
        create(StringStringEntryProtoSchema, { key, value: String(value) }),
      ),
    });
    restored.push({ tensor, data });
    offset += data.byteLength;
    use(tensor.name!);
  }
  if (restored.length === 0) return { graph, externalData, restored: 0 };
  model.graph.initializer.push(...restored.map(({ tensor }) => tensor));
  const bytes = new Uint8Array(offset);
  let at = 0;
  for (const { data } of restored) {
    bytes.set(new Uint8Array(data.buffer, data.byteOffset, data.byteLength), at);
    at += data.byteLength;
  }
  return {
    graph: writeModel(model),
    externalData: [...externalData, { path: restoredPath, file: ByteFile.of(bytes) }],
    restored: restored.length,
  };
}

/** Undefined unless all of them are roundings of bfloat16 minima. */
export function exactZeroPoints(rounded: Float32Array, scales: Float32Array): Float32Array | undefined {
  if (rounded.length < leastBlocks || scales.length !== rounded.length) return undefined;
  const exact = new Float32Array(rounded.length);
  const word = new DataView(new ArrayBuffer(4));
  let isRounded = false;
  for (let i = 0; i < rounded.length; i++) {
    const [zeroPoint, scale] = [rounded[i]!, scales[i]!];
    const product = zeroPoint * scale;
    const minimum = toBrainFloat(product, word);
    if (!(Math.abs(product - minimum) <= roundingError * Math.abs(product))) return undefined;
    exact[i] = scale === 0 ? zeroPoint : minimum / scale;
    isRounded ||= exact[i] !== zeroPoint;
  }
  return isRounded ? exact : undefined;
}

/** The nearest bfloat16 number, ties to even. */
function toBrainFloat(value: number, word: DataView): number {
  word.setFloat32(0, value);
  const bits = word.getUint32(0);
  word.setUint32(0, (bits + 0x7fff + ((bits >>> 16) & 1)) & 0xffff0000);
  return word.getFloat32(0);
}

interface RoundedZeroPoints {
  readonly zeroPoints: string;
  readonly scales: string;
  /** Makes the operator read another tensor. */
  use(name: string): void;
}

function roundedZeroPoints({ graph }: OnnxModel): RoundedZeroPoints[] {
  const producers = producersOf(graph);
  const types = new Map(graph.initializer.map(({ name, dataType }) => [name, dataType]));
  return graph.node.flatMap((node) => {
    const [, , scales, zeroPoints] = node.input;
    if (!isOperator(node, 'com.microsoft', 'MatMulNBits') || !scales || !zeroPoints) return [];
    const cast = producers.get(zeroPoints);
    const isHalf = types.get(cast?.input[0] ?? '') === TensorProto_DataType.FLOAT16;
    if (!cast || !isOperator(cast, '', 'Cast') || !isHalf) return [];
    return [
      {
        zeroPoints,
        scales,
        use: (name) => {
          node.input[3] = name;
        },
      },
    ];
  });
}

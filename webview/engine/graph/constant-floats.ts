/** Reads a float constant of a graph: an initialiser, inline or in external data, or a cast of one. */
import { AppError } from '../../../src/shared/app-error.ts';
import type { ByteFile } from '../byte-file.ts';
import { brainFloatToFloat, halfToFloat } from './half.ts';
import { type TensorProto, TensorProto_DataLocation, TensorProto_DataType } from './onnx_pb.js';
import { isOperator, type OnnxModel } from './onnx-model.ts';

export interface ExternalData {
  /** As the graph names it: a file name beside the graph. */
  readonly path: string;
  readonly file: ByteFile;
}

export interface ConstantFloats {
  readonly dims: readonly number[];
  readonly data: Float32Array;
}

/** Undefined when the tensor is computed by the graph in another way, or is of integers. */
export function constantFloats(
  model: OnnxModel,
  name: string,
  external: readonly ExternalData[],
): ConstantFloats | undefined {
  let source = name;
  for (;;) {
    const tensor = model.graph.initializer.find((candidate) => candidate.name === source);
    if (tensor && notFloats.has(tensor.dataType)) return undefined;
    if (tensor) return { dims: tensor.dims.map(Number), data: decode(tensor, external) };
    const cast = model.graph.node.find((node) => node.output[0] === source && isOperator(node, '', 'Cast', 'Identity'));
    if (!cast?.input[0]) return undefined;
    source = cast.input[0];
  }
}

const { BOOL, INT4, INT8, INT16, INT32, INT64, UINT4, UINT8, UINT16, UINT32, UINT64 } = TensorProto_DataType;
const notFloats = new Set<number>([BOOL, INT4, INT8, INT16, INT32, INT64, UINT4, UINT8, UINT16, UINT32, UINT64]);

function decode(tensor: TensorProto, external: readonly ExternalData[]): Float32Array {
  if (tensor.dataType === TensorProto_DataType.FLOAT && tensor.floatData.length > 0)
    return Float32Array.from(tensor.floatData);
  const bytes = rawBytes(tensor, external).slice().buffer; // aligned
  if (tensor.dataType === TensorProto_DataType.FLOAT) return new Float32Array(bytes);
  if (tensor.dataType === TensorProto_DataType.FLOAT16) return halfToFloat(new Uint16Array(bytes));
  if (tensor.dataType === TensorProto_DataType.BFLOAT16) return brainFloatToFloat(new Uint16Array(bytes));
  const type = TensorProto_DataType[tensor.dataType ?? 0];
  throw new AppError('model-unsupported', `The constant ${tensor.name} of the graph is ${type}, not a float.`);
}

function rawBytes(tensor: TensorProto, external: readonly ExternalData[]): Uint8Array {
  if (tensor.dataLocation !== TensorProto_DataLocation.EXTERNAL) {
    if (tensor.rawData.length > 0) return tensor.rawData;
    return new Uint8Array(Uint16Array.from(tensor.int32Data).buffer); // where 16-bit floats go otherwise
  }
  const entry = (key: string) => tensor.externalData.find((candidate) => candidate.key === key)?.value;
  const location = entry('location')?.replace(/^\.\//, '');
  const offset = Number(entry('offset') ?? 0);
  const file = external.find(({ path }) => path === location)?.file;
  const length = Number(entry('length') ?? (file ? file.sizeBytes - offset : 0));
  if (!file || offset + length > file.sizeBytes)
    throw new AppError('model-damaged', `The model file ${location} is missing or too short. Reload the model.`);
  return file.read(offset, length);
}

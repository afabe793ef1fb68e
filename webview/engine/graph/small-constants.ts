/** Numbers of small constants that stand in the graph file itself; weights in other files are never read here. */
import { brainFloatToFloat, halfToFloat } from './half.ts';
import { type TensorProto, TensorProto_DataLocation, TensorProto_DataType } from './onnx_pb.js';
import { attributeOf, type WiredTensor } from './wired-graph.ts';

const { FLOAT, FLOAT16, BFLOAT16, DOUBLE, UINT8, INT8, UINT16, INT16, UINT32, INT32, INT64, UINT64, BOOL } =
  TensorProto_DataType;

export interface Constant {
  readonly dims: readonly number[];
  readonly data: ArrayLike<number>;
  /** TensorProto_DataType. */
  readonly type: number;
}

/** Undefined for what is no constant, lies in another file, is damaged, or has more than `limit` numbers. */
export function smallConstant(tensor: WiredTensor | undefined, limit = 4096): Constant | undefined {
  if (!tensor) return undefined;
  if (tensor.initialiser) return constantOf(tensor.initialiser, limit);
  const node = tensor.producer;
  if (node?.operator === 'Identity') return smallConstant(node.inputs[0], limit);
  if (node?.operator !== 'Constant') return undefined;
  const value = attributeOf(node, 'value')?.t;
  if (value) return constantOf(value, limit);
  for (const { name, f, i, floats, ints } of node.proto.attribute) {
    if (name === 'value_float') return { dims: [], data: [f], type: FLOAT };
    if (name === 'value_int') return { dims: [], data: [Number(i)], type: INT64 };
    if (name === 'value_floats') return { dims: [floats.length], data: floats, type: FLOAT };
    if (name === 'value_ints') return { dims: [ints.length], data: ints.map(Number), type: INT64 };
  }
  return undefined;
}

function constantOf(tensor: TensorProto, limit: number): Constant | undefined {
  if (tensor.dataLocation === TensorProto_DataLocation.EXTERNAL) return undefined;
  const dims = tensor.dims.map(Number);
  const count = dims.reduce((a, b) => a * b, 1);
  if (!(count >= 0 && count <= limit) || dims.some((dim) => dim < 0)) return undefined;
  const data = numbersOf(tensor, count);
  return data?.length === count ? { dims, data, type: tensor.dataType } : undefined;
}

function numbersOf(tensor: TensorProto, count: number): ArrayLike<number> | undefined {
  const { dataType, rawData, floatData, doubleData, int32Data, int64Data, uint64Data } = tensor;
  if (rawData.length > 0 || count === 0) return rawNumbers(rawData.slice().buffer, dataType);
  if (dataType === FLOAT) return floatData;
  if (dataType === DOUBLE) return doubleData;
  if (dataType === INT64) return int64Data.map(Number);
  if (dataType === UINT64 || dataType === UINT32) return uint64Data.map(Number);
  if (dataType === FLOAT16) return halfToFloat(Uint16Array.from(int32Data));
  if (dataType === BFLOAT16) return brainFloatToFloat(Uint16Array.from(int32Data));
  return int32Data;
}

/** Undefined for types of other than whole bytes, and where bytes are missing. */
function rawNumbers(bytes: ArrayBuffer, type: number): ArrayLike<number> | undefined {
  const fits = (size: number) => bytes.byteLength % size === 0;
  if (type === UINT8 || type === BOOL) return new Uint8Array(bytes);
  if (type === INT8) return new Int8Array(bytes);
  if (type === FLOAT && fits(4)) return new Float32Array(bytes);
  if (type === INT32 && fits(4)) return new Int32Array(bytes);
  if (type === UINT32 && fits(4)) return new Uint32Array(bytes);
  if (type === INT16 && fits(2)) return new Int16Array(bytes);
  if (type === UINT16 && fits(2)) return new Uint16Array(bytes);
  if (type === FLOAT16 && fits(2)) return halfToFloat(new Uint16Array(bytes));
  if (type === BFLOAT16 && fits(2)) return brainFloatToFloat(new Uint16Array(bytes));
  if (type === DOUBLE && fits(8)) return new Float64Array(bytes);
  if (type === INT64 && fits(8)) return Array.from(new BigInt64Array(bytes), Number);
  if (type === UINT64 && fits(8)) return Array.from(new BigUint64Array(bytes), Number);
  return undefined;
}

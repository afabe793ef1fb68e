/** Constants of a graph file: where their bytes lie, and their numbers where those are needed while compiling. */
import type { ExternalData } from '../../../graph/constant-floats.ts';
import { brainFloatToFloat, halfToFloat } from '../../../graph/half.ts';
import { type TensorProto, TensorProto_DataLocation, TensorProto_DataType } from '../../../graph/onnx_pb.js';
import type { TensorRef, TensorType } from '../plan.ts';
import { damaged, unsupported } from './refusal.ts';
import { type ElementKind, sizeOf } from './tensor.ts';

const { FLOAT, FLOAT16, BFLOAT16, DOUBLE, UINT8, INT8, INT32, INT64, BOOL, UINT4 } = TensorProto_DataType;

export type StoredType = TensorType | 'float64' | 'bool';

/** A TensorRef, also of the types that no step of a plan reads. */
export interface StoredTensor extends Omit<TensorRef, 'type'> {
  readonly type: StoredType;
  /** Bytes of two unsigned 4-bit numbers. */
  readonly isNibbles?: boolean;
}

const types = new Map<number, StoredType>([
  [FLOAT, 'float32'],
  [FLOAT16, 'float16'],
  [BFLOAT16, 'bfloat16'],
  [DOUBLE, 'float64'],
  [UINT8, 'uint8'],
  [INT8, 'int8'],
  [INT32, 'int32'],
  [INT64, 'int64'],
  [BOOL, 'bool'],
]);

const sizes: Record<StoredType, number> = {
  float32: 4,
  float16: 2,
  bfloat16: 2,
  float64: 8,
  uint8: 1,
  int8: 1,
  int32: 4,
  int64: 8,
  bool: 1,
};

export function kindOfType(type: StoredType): ElementKind {
  if (type === 'bool') return 'bool';
  return type.includes('float') ? 'float' : 'int';
}

/**
 * Unsigned 4-bit numbers appear as bytes of two, with the last dimension halved.
 * @throws AppError `model-unsupported` for other types, `model-damaged` where bytes and shape do not fit.
 */
export function storedTensor(tensor: TensorProto, name: string): StoredTensor {
  const isNibbles = tensor.dataType === UINT4;
  const type = isNibbles ? 'uint8' : types.get(tensor.dataType);
  if (!type)
    throw unsupported(`the constant ${name} is of the type ${TensorProto_DataType[tensor.dataType] ?? 'unknown'}`);
  const dims = tensor.dims.map(Number);
  if (!dims.every((dim) => Number.isSafeInteger(dim) && dim >= 0))
    throw damaged(`the constant ${name} has the shape [${dims.join(', ')}]`);
  if (isNibbles && dims.length > 0) dims[dims.length - 1] = Math.ceil(dims.at(-1)! / 2);
  const expected = sizeOf(dims) * sizes[type];
  const source = tensor.dataLocation === TensorProto_DataLocation.EXTERNAL ? placeOf(tensor, name) : undefined;
  const bytes = source ? undefined : bytesOf(tensor, type);
  const length = source ? source.length : bytes!.length;
  if (length !== expected)
    throw damaged(`the constant ${name} has ${length} bytes, its shape [${dims.join(', ')}] needs ${expected}`);
  return { name, dims, type, source: source ?? { bytes: bytes! }, ...(isNibbles && { isNibbles }) };
}

function placeOf(tensor: TensorProto, name: string): { file: string; offset: number; length: number } {
  const entry = (key: string) => tensor.externalData.find((candidate) => candidate.key === key)?.value;
  const file = entry('location')?.replace(/^\.\//, '');
  const dims = tensor.dims.map(Number);
  const type = types.get(tensor.dataType);
  const offset = Number(entry('offset') ?? 0);
  const length = Number(entry('length') ?? sizeOf(dims) * (type ? sizes[type] : 1));
  if (!file || !Number.isSafeInteger(offset) || !Number.isSafeInteger(length) || offset < 0 || length < 0)
    throw damaged(`it does not say where the constant ${name} lies`);
  return { file, offset, length };
}

/** Numbers are in `rawData` or in the field of their type. */
function bytesOf(tensor: TensorProto, type: StoredType): Uint8Array {
  if (tensor.rawData.length > 0) return tensor.rawData;
  const view = ({ buffer }: { buffer: ArrayBufferLike }) => new Uint8Array(buffer);
  switch (type) {
    case 'float32':
      return view(Float32Array.from(tensor.floatData));
    case 'float64':
      return view(Float64Array.from(tensor.doubleData));
    case 'int64':
      return view(BigInt64Array.from(tensor.int64Data));
    case 'int32':
      return view(Int32Array.from(tensor.int32Data));
    case 'float16':
    case 'bfloat16':
      return view(Uint16Array.from(tensor.int32Data));
    default:
      return view(Uint8Array.from(tensor.int32Data));
  }
}

/** Reads numbers of constants, from the graph file or the files beside it. */
export class ConstantReader {
  readonly #files: ReadonlyMap<string, ExternalData['file']>;

  constructor(externalData: readonly ExternalData[]) {
    this.#files = new Map(externalData.map(({ path, file }) => [path, file]));
  }

  /** @throws AppError `model-damaged` naming file and tensor. */
  bytes({ name, source }: Pick<StoredTensor, 'name' | 'source'>): Uint8Array {
    if ('bytes' in source) return source.bytes;
    const file = this.#files.get(source.file);
    if (!file) throw damaged(`the file ${source.file} with the constant ${name} is missing`);
    if (source.offset + source.length > file.sizeBytes)
      throw damaged(`the file ${source.file} ends before the constant ${name} does`);
    return file.read(source.offset, source.length);
  }

  /** As numbers; of float types as they are in float32. */
  numbers(tensor: StoredTensor): Float64Array | Float32Array {
    if (tensor.isNibbles) throw unsupported(`the 4-bit numbers of ${tensor.name} are computed with`);
    const bytes = Uint8Array.from(this.bytes(tensor)); // aligned
    const { buffer } = bytes;
    switch (tensor.type) {
      case 'float32':
        return new Float32Array(buffer);
      case 'float16':
        return halfToFloat(new Uint16Array(buffer));
      case 'bfloat16':
        return brainFloatToFloat(new Uint16Array(buffer));
      case 'float64':
        return Float32Array.from(new Float64Array(buffer));
      case 'int64':
        return Float64Array.from(new BigInt64Array(buffer), Number);
      case 'int32':
        return Float64Array.from(new Int32Array(buffer));
      case 'int8':
        return Float64Array.from(new Int8Array(buffer));
      default:
        return Float64Array.from(bytes);
    }
  }
}

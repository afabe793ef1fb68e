/** Reads safetensors files: a length, a header in JSON, the data (https://github.com/huggingface/safetensors). */

export interface FileTensor {
  readonly dims: readonly number[];
  /** As ONNX Runtime names it. */
  readonly type: string;
  readonly data: ArrayLike<number> | BigInt64Array;
}

type Header = Record<string, { dtype: string; shape: number[]; data_offsets: [number, number] }>;
type ArrayType = new (buffer: ArrayBuffer) => FileTensor['data'];

const types: Record<string, readonly [string, ArrayType]> = {
  F64: ['float64', Float64Array],
  F32: ['float32', Float32Array],
  F16: ['float16', Uint16Array],
  I64: ['int64', BigInt64Array],
  I32: ['int32', Int32Array],
  I16: ['int16', Int16Array],
  I8: ['int8', Int8Array],
  U8: ['uint8', Uint8Array],
  BOOL: ['bool', Uint8Array],
};

/** @throws Error with a sentence, where the file is none or holds a type that no graph takes. */
export function readTensors(bytes: Uint8Array<ArrayBuffer>, file: string): Map<string, FileTensor> {
  const header = readHeader(bytes, file);
  const start = 8 + Number(new DataView(bytes.buffer, bytes.byteOffset).getBigUint64(0, true));
  const tensors = new Map<string, FileTensor>();
  for (const [name, { dtype, shape, data_offsets: range }] of Object.entries(header)) {
    if (name === '__metadata__') continue;
    const type = types[dtype];
    if (!type) throw new Error(`${file} holds ${name} as ${dtype}, which no graph input takes.`);
    const [runtimeType, Type] = type;
    tensors.set(name, {
      dims: shape,
      type: runtimeType,
      data: new Type(bytes.slice(start + range[0], start + range[1]).buffer),
    });
  }
  return tensors;
}

function readHeader(bytes: Uint8Array<ArrayBuffer>, file: string): Header {
  try {
    const length = Number(new DataView(bytes.buffer, bytes.byteOffset).getBigUint64(0, true));
    return JSON.parse(new TextDecoder().decode(bytes.subarray(8, 8 + length))) as Header;
  } catch (cause) {
    throw new Error(`${file} is no safetensors file.`, { cause });
  }
}

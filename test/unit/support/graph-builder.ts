/** Builds ONNX graphs for tests: constants of seeded numbers, operators with attributes, inputs and outputs. */
import { create, toBinary } from '@bufbuild/protobuf';
import {
  type AttributeProto,
  AttributeProto_AttributeType,
  AttributeProtoSchema,
  GraphProtoSchema,
  ModelProtoSchema,
  type NodeProto,
  NodeProtoSchema,
  OperatorSetIdProtoSchema,
  type TensorProto,
  TensorProto_DataType,
  TensorProtoSchema,
  TensorShapeProto_DimensionSchema,
  TensorShapeProtoSchema,
  TypeProto_TensorSchema,
  TypeProtoSchema,
  type ValueInfoProto,
  ValueInfoProtoSchema,
} from '../../../webview/engine/graph/onnx_pb.js';
import { createRandom } from './random.ts';

type Attributes = Record<string, number | string | readonly number[]>;

const { FLOAT, FLOAT16, INT64, INT8, UINT8 } = TensorProto_DataType;

export class GraphBuilder {
  readonly nodes: NodeProto[] = [];
  readonly #initialisers: TensorProto[] = [];
  readonly #inputs: ValueInfoProto[] = [];
  readonly #outputs: ValueInfoProto[] = [];
  readonly #random = createRandom(11);
  #count = 0;

  /** An operator, `Type` or `domain.Type`; returns the name of its output. */
  node(operator: string, input: readonly string[], attributes: Attributes = {}): string {
    return this.nodeOf(operator, input, attributes, 1)[0]!;
  }

  nodeOf(operator: string, input: readonly string[], attributes: Attributes, outputs: number): string[] {
    const dot = operator.lastIndexOf('.');
    const [domain, opType] = [operator.slice(0, Math.max(dot, 0)), operator.slice(dot + 1)];
    const name = `n${this.#count++}`;
    const output = Array.from({ length: outputs }, (_, i) => `${name}_${opType}_${i}`);
    const attribute = Object.entries(attributes).map(([key, value]) => attributeOf(key, value));
    this.nodes.push(create(NodeProtoSchema, { name, opType, domain, input: [...input], output, attribute }));
    return output;
  }

  floats(dims: readonly number[], data: readonly number[] | Float32Array): string {
    return this.#constant(dims, FLOAT, Float32Array.from(data));
  }

  /** Seeded numbers in [-0.5, 0.5) times `size`. */
  random(dims: readonly number[], size = 1): string {
    return this.floats(dims, this.numbers(dims, size));
  }

  numbers(dims: readonly number[], size = 1): Float32Array {
    return Float32Array.from({ length: dims.reduce((a, b) => a * b, 1) }, () => (this.#random() - 0.5) * size);
  }

  /** As float16, rounded towards zero. */
  halves(dims: readonly number[], data: Float32Array): string {
    return this.#constant(dims, FLOAT16, Uint16Array.from(data, halfBits));
  }

  float(value: number): string {
    return this.floats([], [value]);
  }

  ints(values: readonly number[], dims: readonly number[] = [values.length]): string {
    return this.#constant(dims, INT64, BigInt64Array.from(values, BigInt));
  }

  bytes(dims: readonly number[], data: Int8Array | Uint8Array): string {
    return this.#constant(dims, data instanceof Int8Array ? INT8 : UINT8, data);
  }

  /** Of the same name once. */
  input(name: string, type: 'float' | 'int', dims: readonly (number | string)[]): string {
    if (this.#inputs.every((input) => input.name !== name))
      this.#inputs.push(valueInfo(name, type === 'float' ? FLOAT : INT64, dims));
    return name;
  }

  output(name: string): void {
    this.#outputs.push(create(ValueInfoProtoSchema, { name }));
  }

  bytesOfModel(opset = 23): Uint8Array<ArrayBuffer> {
    const graph = create(GraphProtoSchema, {
      name: 'test',
      node: this.nodes,
      initializer: this.#initialisers,
      input: this.#inputs,
      output: this.#outputs,
    });
    const opsetImport = [
      create(OperatorSetIdProtoSchema, { domain: '', version: BigInt(opset) }),
      create(OperatorSetIdProtoSchema, { domain: 'com.microsoft', version: 1n }),
    ];
    return toBinary(ModelProtoSchema, create(ModelProtoSchema, { irVersion: 10n, graph, opsetImport }));
  }

  #constant(dims: readonly number[], dataType: number, data: ArrayBufferView): string {
    const name = `c${this.#count++}`;
    const rawData = new Uint8Array(data.buffer, data.byteOffset, data.byteLength).slice();
    this.#initialisers.push(create(TensorProtoSchema, { name, dims: dims.map(BigInt), dataType, rawData }));
    return name;
  }
}

function halfBits(value: number): number {
  const bits = new Uint32Array(Float32Array.of(value).buffer)[0]!;
  const exponent = ((bits >>> 23) & 0xff) - 112;
  const sign = (bits >>> 16) & 0x8000;
  return exponent <= 0 ? sign : sign | (exponent << 10) | ((bits >>> 13) & 0x3ff);
}

function attributeOf(name: string, value: number | string | readonly number[]): AttributeProto {
  const { FLOAT: float, INT, INTS, STRING } = AttributeProto_AttributeType;
  if (typeof value === 'string')
    return create(AttributeProtoSchema, { name, type: STRING, s: new TextEncoder().encode(value) });
  if (typeof value === 'object') return create(AttributeProtoSchema, { name, type: INTS, ints: value.map(BigInt) });
  const isFloat = !Number.isInteger(value) || ['scale', 'softcap', 'alpha', 'beta', 'epsilon'].includes(name);
  return create(
    AttributeProtoSchema,
    isFloat ? { name, type: float, f: value } : { name, type: INT, i: BigInt(value) },
  );
}

function valueInfo(name: string, elemType: number, dims: readonly (number | string)[]): ValueInfoProto {
  const dim = dims.map((size) =>
    create(TensorShapeProto_DimensionSchema, {
      value: typeof size === 'number' ? { case: 'dimValue', value: BigInt(size) } : { case: 'dimParam', value: size },
    }),
  );
  const shape = create(TensorShapeProtoSchema, { dim });
  const tensor = create(TypeProto_TensorSchema, { elemType, shape });
  return create(ValueInfoProtoSchema, {
    name,
    type: create(TypeProtoSchema, { value: { case: 'tensorType', value: tensor } }),
  });
}

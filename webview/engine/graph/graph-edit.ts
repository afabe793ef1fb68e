/** Changes of a wired graph: tensors become outputs, operators are put between a tensor and its readers, inputs are added. */
import { create } from '@bufbuild/protobuf';
import type { GraphReading } from './graph-reading.ts';
import {
  type AttributeProto,
  AttributeProto_AttributeType,
  AttributeProtoSchema,
  type NodeProto,
  NodeProtoSchema,
  TensorProto_DataType,
  TensorProtoSchema,
  TensorShapeProto_DimensionSchema,
  TensorShapeProtoSchema,
  TypeProto_TensorSchema,
  TypeProtoSchema,
  ValueInfoProtoSchema,
} from './onnx_pb.js';
import { addOutput } from './onnx-model.ts';
import type { WiredNode, WiredScope, WiredTensor } from './wired-graph.ts';

const { FLOAT, FLOAT16 } = TensorProto_DataType;

/** Names that the edit gives begin so; no exporter's do. */
const prefix = 'glasshead';

export class GraphEdit {
  readonly outputs: string[] = [];
  readonly inputs: string[] = [];
  readonly #reading: GraphReading;
  readonly #taken: Set<string>;
  readonly #exposed = new Map<WiredTensor, string>();
  readonly #replaced = new Map<WiredTensor, string>();

  constructor(reading: GraphReading) {
    this.#reading = reading;
    this.#taken = new Set(allNames(reading.graph.main));
  }

  /**
   * The name under which a run knows the tensor: an output, or what is fed. A tensor of a branch that is not taken is
   * empty.
   */
  expose(tensor: WiredTensor): string {
    const before = this.#exposed.get(tensor);
    if (before !== undefined) return before;
    const name = tensor.scope.parent ? this.#throughIf(tensor) : this.#fromMain(tensor);
    this.#exposed.set(tensor, name);
    return name;
  }

  /** A graph input with as many axes as what it changes; their sizes are the run's. */
  input(what: string, type: number, rank: number): string {
    const name = this.#unique(what);
    const dim = Array.from({ length: rank }, (_, i) =>
      create(TensorShapeProto_DimensionSchema, { value: { case: 'dimParam', value: `${name}.${i}` } }),
    );
    const tensor = create(TypeProto_TensorSchema, { elemType: type, shape: create(TensorShapeProtoSchema, { dim }) });
    const info = { name, type: create(TypeProtoSchema, { value: { case: 'tensorType', value: tensor } }) };
    this.#reading.graph.main.graph.input.push(create(ValueInfoProtoSchema, info));
    this.inputs.push(name);
    return name;
  }

  /** Every reader of the tensor reads `operators` applied to it instead, one behind the other. */
  insertBehind(tensor: WiredTensor, operators: readonly { readonly type: string; readonly operand: string }[]): void {
    const { scope, producer } = tensor;
    const start = this.#replaced.get(tensor) ?? tensor.name;
    const nodes: NodeProto[] = [];
    let at = start;
    for (const { type, operand } of operators) at = this.#add(nodes, type, [at, operand]);
    // Rounding once more is what keeps quantised operators next to each other, and rounds nothing.
    if (producer?.operator === 'DequantizeLinear' && producer.inputs[0]?.producer?.operator === 'QuantizeLinear') {
      const quantiser = producer.inputs[0].producer.proto;
      at = this.#add(nodes, 'QuantizeLinear', [at, ...quantiser.input.slice(1)], quantiser);
      at = this.#add(nodes, 'DequantizeLinear', [at, ...producer.proto.input.slice(1)], producer.proto);
    }
    for (const { node, position } of tensor.readers)
      if (node.proto.input[position] === start) node.proto.input[position] = at;
    this.#place(scope, nodes, producer?.proto);
    this.#replaced.set(tensor, at);
    this.#exposed.delete(tensor);
  }

  /** One input of one operator gets `operand` added. */
  addAt({ proto, scope }: WiredNode, position: number, operand: string): void {
    while (proto.input.length <= position) proto.input.push('');
    const before = proto.input[position];
    if (!before) {
      proto.input[position] = operand;
      return;
    }
    const nodes: NodeProto[] = [];
    proto.input[position] = this.#add(nodes, 'Add', [before, operand]);
    scope.graph.node.splice(scope.graph.node.indexOf(proto), 0, ...nodes);
  }

  #fromMain(tensor: WiredTensor): string {
    const { scope, producer, isInput } = tensor;
    const changed = this.#replaced.get(tensor);
    if (isInput && !producer && !changed) return tensor.name;
    const name = changed ?? (isOutput(tensor) ? tensor.name : this.#readable(tensor));
    if (!scope.graph.output.some((output) => output.name === name)) {
      addOutput(scope.graph, name);
      this.outputs.push(name);
    }
    return name;
  }

  /**
   * The tensor itself, or a copy where it must not be an output: a constant cannot be one everywhere; ONNX Runtime keeps
   * quantised operators apart whose DequantizeLinear is read from outside, and rounds to float16 what it would have kept
   * in float32 otherwise.
   */
  #readable(tensor: WiredTensor): string {
    const { scope, producer, name } = tensor;
    const copied = (
      opType: string,
      input: readonly string[],
      attribute: readonly AttributeProto[] = [],
      domain = '',
    ) => {
      const nodes: NodeProto[] = [];
      const copy = this.#add(nodes, opType, input, { domain, attribute: [...attribute] });
      this.#place(scope, nodes, producer?.proto);
      return copy;
    };
    const inputs = producer?.proto.input ?? [];
    if (producer?.operator === 'DequantizeLinear')
      return copied('DequantizeLinear', inputs, [otherAxis(producer), ...attributesBut(producer, 'axis')]);
    if (producer?.operator === 'QuantizeLinear') return copied('DequantizeLinear', [name, ...inputs.slice(1)]);
    if (producer?.operator === 'com.microsoft.QLinearSoftmax')
      return copied('DequantizeLinear', [name, ...inputs.slice(3, 5)]);
    if (this.#reading.facts(tensor).type === FLOAT16 && !isOutput(tensor))
      return copied('Cast', [name], [intAttribute('to', FLOAT)]);
    return producer && producer.scope === scope ? name : copied('Identity', [name]);
  }

  #throughIf(tensor: WiredTensor): string {
    const inner = this.#replaced.get(tensor) ?? this.#readable(tensor);
    const { type, shape } = this.#reading.facts(tensor);
    let name = inner;
    for (let scope = tensor.scope; scope.parent && scope.owner; scope = scope.parent)
      name = this.#outOf(scope, scope.owner, { name, type: type ?? FLOAT, rank: shape?.length ?? 0 });
    if (!this.#reading.graph.main.graph.output.some((output) => output.name === name)) {
      this.#reading.graph.main.graph.output.push(create(ValueInfoProtoSchema, { name }));
      this.outputs.push(name);
    }
    return name;
  }

  /** From one branch to the scope of its If. A tensor that the branch returns already must not be returned twice. */
  #outOf(scope: WiredScope, owner: WiredNode, tensor: { name: string; type: number; rank: number }): string {
    const there = scope.graph.output.findIndex((output) => output.name === tensor.name);
    const known = there < 0 ? undefined : owner.proto.output[there];
    if (known) return known;
    for (const body of owner.bodies) {
      const name = body === scope ? tensor.name : this.#empty(body, tensor.type, tensor.rank);
      body.graph.output.push(create(ValueInfoProtoSchema, { name }));
    }
    const outer = this.#unique('tap');
    owner.proto.output.push(outer);
    return outer;
  }

  #empty({ graph }: WiredScope, dataType: number, rank: number): string {
    const t = create(TensorProtoSchema, { dataType, dims: new Array<bigint>(Math.max(rank, 1)).fill(0n) });
    const output = this.#unique('absent');
    const attribute = [create(AttributeProtoSchema, { name: 'value', type: AttributeProto_AttributeType.TENSOR, t })];
    graph.node.push(create(NodeProtoSchema, { name: output, opType: 'Constant', output: [output], attribute }));
    return output;
  }

  #add(
    nodes: NodeProto[],
    opType: string,
    input: readonly string[],
    like?: Pick<NodeProto, 'domain' | 'attribute'>,
  ): string {
    const output = this.#unique(opType);
    const { domain = '', attribute = [] } = like ?? {};
    nodes.push(
      create(NodeProtoSchema, { name: output, opType, domain, input: [...input], output: [output], attribute }),
    );
    return output;
  }

  #place({ graph }: WiredScope, nodes: readonly NodeProto[], behind: NodeProto | undefined): void {
    graph.node.splice(behind ? graph.node.indexOf(behind) + 1 : 0, 0, ...nodes);
  }

  #unique(what: string): string {
    for (let i = this.#taken.size; ; i++) {
      const name = `${prefix}.${what}.${i}`;
      if (this.#taken.has(name)) continue;
      this.#taken.add(name);
      return name;
    }
  }
}

function isOutput({ scope, name }: WiredTensor): boolean {
  return scope.graph.output.some((output) => output.name === name);
}

function intAttribute(name: string, value: number): AttributeProto {
  return create(AttributeProtoSchema, { name, type: AttributeProto_AttributeType.INT, i: BigInt(value) });
}

/** One scale for all has no axis, but an operator with another one is another: equal ones would become one again. */
function otherAxis({ proto }: WiredNode): AttributeProto {
  const axis = proto.attribute.find(({ name }) => name === 'axis')?.i ?? 1n;
  return intAttribute('axis', axis === 0n ? 1 : 0);
}

function attributesBut({ proto }: WiredNode, name: string): AttributeProto[] {
  return proto.attribute.filter((attribute) => attribute.name !== name);
}

function allNames(scope: WiredScope): string[] {
  return [...scope.tensors.keys(), ...scope.nodes.flatMap(({ bodies, label }) => [label, ...bodies.flatMap(allNames)])];
}

/** An operator of the graph with what its inputs are, and its attributes with their defaults. */
import type { AttributeProto, NodeProto, TensorProto } from '../../../graph/onnx_pb.js';
import { damaged, labelOf, unsupported } from './refusal.ts';
import type { Hidden, Value } from './value.ts';

export class GraphNode {
  readonly proto: NodeProto;
  readonly label: string;
  /** Domain and type, the default domain as ''. */
  readonly operator: string;
  readonly inputs: readonly (Value | undefined)[];
  readonly #attributes: Map<string, AttributeProto>;

  constructor(proto: NodeProto, inputs: readonly (Value | undefined)[]) {
    this.proto = proto;
    this.label = labelOf(proto);
    this.operator = operatorOf(proto);
    this.inputs = inputs;
    this.#attributes = new Map(proto.attribute.map((attribute) => [attribute.name, attribute]));
  }

  get outputs(): readonly string[] {
    return this.proto.output;
  }

  hasOutput(position: number): boolean {
    return Boolean(this.proto.output[position]);
  }

  input(position: number): Value | undefined {
    return this.inputs[position];
  }

  /** @throws AppError `model-damaged` when it is absent. */
  required(position: number): Value {
    const value = this.inputs[position];
    if (!value) throw damaged(`${this.label} lacks its input ${position}`);
    return value;
  }

  /** @throws AppError when it is absent or something else. */
  hidden(position: number): Hidden {
    const value = this.required(position);
    if (value.kind === 'hidden') return value;
    throw this.refused(`its input ${this.proto.input[position]} is not what the layers compute`);
  }

  int(name: string, fallback: number): number {
    const found = this.#attributes.get(name);
    return found ? Number(found.i) : fallback;
  }

  float(name: string, fallback: number): number {
    return this.#attributes.get(name)?.f ?? fallback;
  }

  string(name: string, fallback: string): string {
    const found = this.#attributes.get(name);
    return found ? new TextDecoder().decode(found.s) : fallback;
  }

  ints(name: string): readonly number[] | undefined {
    return this.#attributes.get(name)?.ints.map(Number);
  }

  tensor(name: string): TensorProto | undefined {
    return this.#attributes.get(name)?.t;
  }

  attribute(name: string): AttributeProto | undefined {
    return this.#attributes.get(name);
  }

  refused(reason: string) {
    return unsupported(`${this.label}: ${reason}`);
  }

  /** The same operator on the same inputs has the same key. */
  get attributeKey(): string {
    return [...this.#attributes.values()]
      .map(({ name, f, i, s, ints, floats, t }) => {
        const bytes = s.length > 0 ? s.join(',') : '';
        return `${name}:${f}:${i}:${bytes}:${ints}:${floats}:${t ? `${t.dims}/${t.rawData}/${t.int64Data}/${t.floatData}` : ''}`;
      })
      .sort()
      .join(';');
  }
}

function operatorOf({ domain, opType }: NodeProto): string {
  return domain && domain !== 'ai.onnx' ? `${domain}.${opType}` : opType;
}

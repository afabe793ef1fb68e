/** Puts the operators of a model's own functions in place of their calls, so that what they do can be seen. */
import { clone } from '@bufbuild/protobuf';
import { AppError } from '../../../src/shared/app-error.ts';
import {
  type AttributeProto,
  AttributeProtoSchema,
  type FunctionProto,
  type GraphProto,
  type NodeProto,
  NodeProtoSchema,
} from './onnx_pb.js';
import type { OnnxModel } from './onnx-model.ts';

/** Functions may call functions, but not without end: a few hundred bytes could call for billions. */
const maxNodes = 1_000_000;
const maxDepth = 32;

/** In place. @throws AppError `model-damaged` where functions call each other without end. */
export function inlineFunctions({ proto, graph }: OnnxModel): void {
  if (proto.functions.length === 0) return;
  const versions = new Map(proto.opsetImport.map(({ domain, version }) => [domain, version]));
  // A function that means other versions of operators stays a call: ONNX Runtime knows how to convert it.
  const fits = proto.functions.filter((each) =>
    each.opsetImport.every(({ domain, version }) => (versions.get(domain) ?? version) === version),
  );
  const functions = new Map(fits.map((each) => [keyOf(each.domain, each.name, each.overload), each]));
  for (const { opsetImport } of fits)
    for (const each of opsetImport)
      if (!versions.has(each.domain)) {
        versions.set(each.domain, each.version);
        proto.opsetImport.push(each);
      }
  new Inliner(functions).expand(graph, 0);
}

function keyOf(domain: string, name: string, overload: string): string {
  return [domain, name, overload].join('/');
}

class Inliner {
  readonly #functions: ReadonlyMap<string, FunctionProto>;
  #count = 0;
  #calls = 0;

  constructor(functions: ReadonlyMap<string, FunctionProto>) {
    this.#functions = functions;
  }

  expand(graph: GraphProto, depth: number): void {
    const nodes: NodeProto[] = [];
    for (const node of graph.node) this.#expandNode(node, depth, nodes);
    graph.node = nodes;
  }

  #expandNode(node: NodeProto, depth: number, into: NodeProto[]): void {
    if (++this.#count > maxNodes || depth > maxDepth)
      throw new AppError(
        'model-damaged',
        `The model graph is damaged: its functions, ${node.opType} among them, call each other without end. Copy or download the model again.`,
      );
    const called = this.#functions.get(keyOf(node.domain, node.opType, node.overload));
    if (!called) {
      for (const { g, graphs } of node.attribute) for (const body of g ? [g] : graphs) this.expand(body, depth + 1);
      into.push(node);
      return;
    }
    const call = new Call(node, called, `${node.name || node.opType}/${this.#calls++}/`);
    for (const inner of called.node) this.#expandNode(call.nodeOf(inner), depth + 1, into);
  }
}

class Call {
  readonly #names: Map<string, string>;
  readonly #attributes: Map<string, AttributeProto>;
  readonly #prefix: string;

  constructor(node: NodeProto, { input, output, attributeProto }: FunctionProto, prefix: string) {
    this.#prefix = prefix;
    // An output that the caller does not take keeps a name of its own.
    this.#names = new Map([
      ...output.flatMap((name, i) => (node.output[i] ? [[name, node.output[i]] as const] : [])),
      ...input.map((name, i) => [name, node.input[i] ?? ''] as const),
    ]);
    this.#attributes = new Map([...attributeProto, ...node.attribute].map((each) => [each.name, each]));
  }

  nodeOf(inner: NodeProto): NodeProto {
    const node = clone(NodeProtoSchema, inner);
    node.name = this.#prefix + node.name;
    this.#rename(node);
    return node;
  }

  #rename(node: NodeProto): void {
    node.input = node.input.map((name) => this.#nameOf(name));
    node.output = node.output.map((name) => this.#nameOf(name));
    node.attribute = node.attribute.flatMap((attribute) => this.#attributeOf(attribute));
    for (const { g, graphs } of node.attribute) for (const body of g ? [g] : graphs) this.#renameBody(body);
  }

  #renameBody(graph: GraphProto): void {
    for (const each of [...graph.input, ...graph.output, ...graph.valueInfo, ...graph.initializer])
      each.name = this.#nameOf(each.name);
    for (const node of graph.node) this.#rename(node);
  }

  #nameOf(name: string): string {
    return name === '' ? '' : (this.#names.get(name) ?? this.#prefix + name);
  }

  /** An attribute may stand for one of the call; without that it is absent. */
  #attributeOf(attribute: AttributeProto): AttributeProto[] {
    if (!attribute.refAttrName) return [attribute];
    const given = this.#attributes.get(attribute.refAttrName);
    if (!given) return [];
    const own = clone(AttributeProtoSchema, given);
    own.name = attribute.name;
    return [own];
  }
}

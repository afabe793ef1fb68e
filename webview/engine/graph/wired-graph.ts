/**
 * A graph with its wiring made explicit: every tensor knows what computes and what reads it, in the main graph and in
 * the branches of an If, which see the names around them and may use one name each.
 */
import { AppError } from '../../../src/shared/app-error.ts';
import type { BranchStep } from './attention-site.ts';
import type { AttributeProto, GraphProto, NodeProto, TensorProto, ValueInfoProto } from './onnx_pb.js';
import type { OnnxModel } from './onnx-model.ts';

export interface WiredTensor {
  readonly name: string;
  readonly scope: WiredScope;
  /** What computes it, and as which of its outputs. */
  producer: WiredNode | undefined;
  outputIndex: number;
  readonly initialiser: TensorProto | undefined;
  readonly isInput: boolean;
  /** As the file declares it, where it does. */
  info: ValueInfoProto | undefined;
  /** In the scope of the tensor and in those inside. */
  readonly readers: { readonly node: WiredNode; readonly position: number }[];
}

export interface WiredNode {
  readonly proto: NodeProto;
  readonly scope: WiredScope;
  readonly label: string;
  /** Domain and type, the default domain not written. */
  readonly operator: string;
  /** undefined: absent, or a name that nothing defines. */
  readonly inputs: (WiredTensor | undefined)[];
  readonly outputs: (WiredTensor | undefined)[];
  readonly bodies: readonly WiredScope[];
  /** What the bodies read from outside. */
  readonly captured: Set<WiredTensor>;
  /** Place in an order in which everything stands behind what it reads. */
  order: number;
}

export interface WiredScope {
  readonly graph: GraphProto;
  readonly parent: WiredScope | undefined;
  readonly owner: WiredNode | undefined;
  /** From the main graph, which has none. */
  readonly path: readonly BranchStep[];
  readonly tensors: Map<string, WiredTensor>;
  readonly nodes: WiredNode[];
}

export interface WiredGraph {
  readonly main: WiredScope;
  /** Of all scopes, in order of execution. */
  readonly nodes: readonly WiredNode[];
  /** Version of a domain's operators; 0 where the file names none. */
  opset(domain: string): number;
}

/** Bodies within bodies; a merged decoder has one. */
const maxDepth = 16;

/** @throws AppError `model-damaged` where tensors are defined twice or operators read each other in a circle. */
export function wireGraph({ proto, graph }: OnnxModel): WiredGraph {
  const main = wireScope(graph, undefined, undefined, []);
  const nodes: WiredNode[] = [];
  order(main, nodes);
  const versions = new Map(proto.opsetImport.map(({ domain, version }) => [plainDomain(domain), Number(version)]));
  return { main, nodes, opset: (domain) => versions.get(plainDomain(domain)) ?? 0 };
}

/** The tensor that a name means in a scope. */
function resolve(scope: WiredScope, name: string): WiredTensor | undefined {
  for (let at: WiredScope | undefined = scope; at; at = at.parent) {
    const found = at.tensors.get(name);
    if (found) return found;
  }
  return undefined;
}

/** An output that a node may have, named where the file does not name it. */
export function outputOf(node: WiredNode, position: number): WiredTensor {
  const there = node.outputs[position];
  if (there) return there;
  while (node.outputs.length < position) {
    node.outputs.push(undefined);
    node.proto.output[node.outputs.length - 1] ??= '';
  }
  const name = `glasshead.${node.proto.output[0]}.${position}`;
  const { scope } = node;
  const tensor: WiredTensor = {
    name,
    scope,
    producer: node,
    outputIndex: position,
    initialiser: undefined,
    isInput: false,
    info: undefined,
    readers: [],
  };
  node.proto.output[position] = name;
  node.outputs[position] = tensor;
  scope.tensors.set(name, tensor);
  return tensor;
}

export function attributeOf(node: WiredNode, name: string): AttributeProto | undefined {
  return node.proto.attribute.find((candidate) => candidate.name === name);
}

export function intOf(node: WiredNode, name: string, fallback: number): number {
  const found = attributeOf(node, name);
  return found ? Number(found.i) : fallback;
}

export function floatOf(node: WiredNode, name: string, fallback: number): number {
  return attributeOf(node, name)?.f ?? fallback;
}

export function intsOf(node: WiredNode, name: string): number[] | undefined {
  return attributeOf(node, name)?.ints.map(Number);
}

export function stringOf(node: WiredNode, name: string): string | undefined {
  const found = attributeOf(node, name);
  return found?.s && new TextDecoder().decode(found.s);
}

function damagedGraph(what: string): AppError {
  return new AppError('model-damaged', `The model graph is damaged: ${what}. Copy or download the model again.`);
}

function plainDomain(domain: string): string {
  return domain === 'ai.onnx' ? '' : domain;
}

function wireScope(
  graph: GraphProto,
  parent: WiredScope | undefined,
  owner: WiredNode | undefined,
  path: readonly BranchStep[],
): WiredScope {
  if (path.length > maxDepth) throw damagedGraph(`bodies of operators lie more than ${maxDepth} deep in each other`);
  const scope: WiredScope = { graph, parent, owner, path, tensors: new Map(), nodes: [] };
  const infos = new Map([...graph.valueInfo, ...graph.output].map((info) => [info.name, info]));
  const define = (name: string, parts: Partial<WiredTensor>) => {
    const tensor: WiredTensor = {
      name,
      scope,
      producer: undefined,
      outputIndex: 0,
      initialiser: undefined,
      isInput: false,
      info: infos.get(name),
      readers: [],
      ...parts,
    };
    scope.tensors.set(name, tensor);
    return tensor;
  };
  // Before IR version 4 an initialiser is among the inputs, too: as their default.
  for (const initialiser of graph.initializer) {
    if (scope.tensors.has(initialiser.name)) throw damagedGraph(`the constant ${initialiser.name} is there twice`);
    define(initialiser.name, { initialiser });
  }
  for (const info of graph.input) if (!scope.tensors.has(info.name)) define(info.name, { isInput: true, info });
  for (const proto of graph.node) {
    const node = nodeOf(proto, scope);
    for (const [outputIndex, name] of proto.output.entries()) {
      if (name && scope.tensors.has(name)) throw damagedGraph(`${node.label} computes ${name}, which is there already`);
      node.outputs.push(name ? define(name, { producer: node, outputIndex }) : undefined);
    }
    scope.nodes.push(node);
  }
  for (const node of scope.nodes) wireNode(node);
  return scope;
}

function nodeOf(proto: NodeProto, scope: WiredScope): WiredNode {
  const domain = plainDomain(proto.domain);
  return {
    proto,
    scope,
    label: proto.name || proto.output.find(Boolean) || proto.opType,
    operator: domain ? `${domain}.${proto.opType}` : proto.opType,
    inputs: [],
    outputs: [],
    bodies: [],
    captured: new Set(),
    order: -1,
  };
}

/** Behind the definition of all names around. */
function wireNode(node: WiredNode): void {
  const { scope } = node;
  for (const [position, name] of node.proto.input.entries()) {
    const tensor = name ? resolve(scope, name) : undefined;
    tensor?.readers.push({ node, position });
    node.inputs.push(tensor);
    if (tensor && tensor.scope !== scope) capture(scope, tensor);
  }
  const bodies = node.bodies as WiredScope[];
  for (const { name, g, graphs } of node.proto.attribute)
    for (const body of g ? [g] : graphs) {
      const step = { node: node.label, branch: name };
      const inner = wireScope(body, scope, node, [...scope.path, step]);
      bodies.push(inner);
      // A body may return what it only sees.
      for (const { name: output } of body.output) {
        const seen = inner.tensors.has(output) ? undefined : resolve(scope, output);
        if (seen) capture(inner, seen);
      }
    }
}

/** Notes for every body between the reader and the tensor's own scope that its operator needs the tensor. */
function capture(reader: WiredScope, tensor: WiredTensor): void {
  for (let at = reader; at.owner && at !== tensor.scope; at = at.parent!) at.owner.captured.add(tensor);
}

/** Depth first without recursion over nodes: a chain of 100,000 must not exhaust the stack. */
function order(scope: WiredScope, into: WiredNode[]): void {
  const open = new Set<WiredNode>();
  const done = new Set<WiredNode>();
  for (const root of scope.nodes) {
    if (done.has(root)) continue;
    const stack = [{ node: root, needs: needsOf(root), next: 0 }];
    open.add(root);
    while (stack.length > 0) {
      const top = stack.at(-1)!;
      const need = top.needs[top.next++];
      if (!need) {
        stack.pop();
        done.add(top.node);
        top.node.order = into.length;
        into.push(top.node);
        for (const body of top.node.bodies) order(body, into);
      } else if (!done.has(need)) {
        if (open.has(need)) throw damagedGraph(`${need.label} reads, over others, what it computes`);
        open.add(need);
        stack.push({ node: need, needs: needsOf(need), next: 0 });
      }
    }
  }
}

function needsOf(node: WiredNode): WiredNode[] {
  const tensors = [...node.inputs, ...node.captured];
  return tensors.flatMap((tensor) => (tensor?.producer && tensor.scope === node.scope ? [tensor.producer] : []));
}

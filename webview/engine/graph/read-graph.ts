/**
 * Type and shape of every tensor of a graph, and the numbers of small ones, as far as they follow from its inputs:
 * files need not declare them. Sizes that only a run knows are symbols, so that `batch * 12` is known to be 12 batches.
 */
import { inferElementwise } from './facts-elementwise.ts';
import { inferLayout } from './facts-layout.ts';
import { inferProducts } from './facts-products.ts';
import type { GraphReading } from './graph-reading.ts';
import type { ValueInfoProto } from './onnx_pb.js';
import { shapeOf } from './onnx-model.ts';
import { smallConstant } from './small-constants.ts';
import { type Size, symbol, unknownSize } from './symbolic-size.ts';
import { maxValues, type RuleInput, type TensorFacts } from './tensor-facts.ts';
import type { WiredGraph, WiredNode, WiredTensor } from './wired-graph.ts';

const nothing: TensorFacts = {};

/** Operators whose result depends on sizes only. */
const sizeOperators = ['Shape', 'Size'];

export function readGraph(graph: WiredGraph): GraphReading {
  let symbols = 0;
  const fresh = () => unknownSize(symbols++);
  const known = new Map<WiredTensor, TensorFacts>();
  const activations = new Set<WiredTensor>();
  const isActivation = (tensor: WiredTensor | undefined) =>
    tensor !== undefined && (activations.has(tensor) || (tensor.isInput && tensor.producer === undefined));

  const facts = (tensor: WiredTensor | undefined): TensorFacts => {
    if (!tensor) return nothing;
    const before = known.get(tensor);
    if (before) return before;
    const found = tensor.producer ? nothing : sourceFacts(tensor, fresh);
    known.set(tensor, found);
    return found;
  };
  const branches: WiredNode[] = [];
  for (const node of graph.nodes) {
    if (!sizeOperators.includes(node.operator) && [...node.inputs, ...node.captured].some(isActivation))
      for (const output of node.outputs) if (output) activations.add(output);
    if (node.bodies.length > 0) branches.push(node);
    else record(node, inferNode(node, { graph, facts, fresh }), known, fresh);
    closeBranches(branches, node, { facts, known, fresh });
  }
  return { graph, facts, isActivation };
}

interface Inference {
  readonly graph: WiredGraph;
  readonly facts: (tensor: WiredTensor | undefined) => TensorFacts;
  readonly fresh: () => Size;
}

function inferNode(node: WiredNode, { graph, facts, fresh }: Inference): readonly TensorFacts[] {
  const input: RuleInput = { node, opset: graph.opset(''), at: (position) => facts(node.inputs[position]), fresh };
  const constant = node.operator === 'Constant' ? smallConstant(node.outputs[0]) : undefined;
  if (constant) return [constantFacts(constant)];
  return inferElementwise(input) ?? inferLayout(input) ?? inferProducts(input) ?? [];
}

/** Results of an If are known when its branches are: they come before the next operator that is not in them. */
function closeBranches(
  open: WiredNode[],
  node: WiredNode,
  { facts, known, fresh }: { facts: Inference['facts']; known: Map<WiredTensor, TensorFacts>; fresh: () => Size },
): void {
  for (let at = open.at(-1); at; at = open.at(-1)) {
    const last = lastInside(at);
    if (last.order > node.order) return;
    open.pop();
    const results = at.outputs.map((_, i) =>
      at.bodies.map((body) => facts(body.tensors.get(body.graph.output[i]?.name ?? ''))),
    );
    record(
      at,
      results.map((all) => common(all, fresh)),
      known,
      fresh,
    );
  }
}

function lastInside(node: WiredNode): WiredNode {
  let last = node;
  for (const body of node.bodies) for (const inner of body.nodes) if (inner.order > last.order) last = inner;
  return last;
}

function common(all: readonly TensorFacts[], fresh: () => Size): TensorFacts {
  const [first] = all;
  const shapes = all.map(({ shape }) => shape);
  const rank = first?.shape?.length;
  if (!first?.shape || shapes.some((shape) => shape?.length !== rank)) return { type: first?.type };
  const shape = first.shape.map((size, axis) =>
    shapes.every((other) => keyOf(other![axis]!) === keyOf(size)) ? size : fresh(),
  );
  return { type: first.type, shape };
}

function keyOf(size: Size): number | string {
  return typeof size === 'number' ? size : size.key;
}

function record(
  node: WiredNode,
  results: readonly TensorFacts[],
  known: Map<WiredTensor, TensorFacts>,
  fresh: () => Size,
): void {
  for (const [i, output] of node.outputs.entries()) {
    if (!output) continue;
    const found = results[i] ?? nothing;
    const declared = found.shape && found.type !== undefined ? nothing : declaredFacts(output.info, fresh);
    known.set(output, {
      type: found.type ?? declared.type,
      shape: found.shape ?? declared.shape,
      values: found.values,
    });
  }
}

function sourceFacts(tensor: WiredTensor, fresh: () => Size): TensorFacts {
  if (!tensor.initialiser) return declaredFacts(tensor.info, fresh);
  const constant = smallConstant(tensor, maxValues);
  if (constant) return constantFacts(constant);
  return { type: tensor.initialiser.dataType, shape: tensor.initialiser.dims.map(Number) };
}

function constantFacts({
  dims,
  data,
  type,
}: {
  dims: readonly number[];
  data: ArrayLike<number>;
  type: number;
}): TensorFacts {
  return { type, shape: dims, values: data.length <= maxValues ? Array.from(data) : undefined };
}

function declaredFacts(info: ValueInfoProto | undefined, fresh: () => Size): TensorFacts {
  const type = info?.type?.value;
  if (type?.case !== 'tensorType') return nothing;
  const shape = shapeOf(info)?.map((size) =>
    typeof size === 'number' ? (size >= 0 ? size : fresh()) : size ? symbol(size) : fresh(),
  );
  return { type: type.value.elemType || undefined, shape };
}

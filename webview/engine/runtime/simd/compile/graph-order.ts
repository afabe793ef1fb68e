/** The operators that the outputs of a graph need, each behind those that it reads. */
import type { GraphProto, NodeProto } from '../../../graph/onnx_pb.js';
import { damaged, labelOf } from './refusal.ts';

/** In the order of the file where that is in order. @throws AppError `model-damaged` when they read each other in a circle. */
export function orderedNodes(graph: GraphProto): NodeProto[] {
  const producers = producersIn(graph);
  const state = new Map<NodeProto, 'open' | 'done'>();
  const ordered: NodeProto[] = [];
  const visit = (root: NodeProto) => {
    const stack = [{ node: root, next: 0 }];
    while (stack.length > 0) {
      const top = stack.at(-1)!;
      const { node } = top;
      state.set(node, state.get(node) ?? 'open');
      if (state.get(node) === 'done' || top.next >= node.input.length) {
        if (state.get(node) === 'open') ordered.push(node);
        state.set(node, 'done');
        stack.pop();
        continue;
      }
      const producer = producers.get(node.input[top.next++]!);
      if (!producer || state.get(producer) === 'done') continue;
      if (state.get(producer) === 'open') throw damaged(`${labelOf(producer)} reads, over others, what it computes`);
      stack.push({ node: producer, next: 0 });
    }
  };
  const needed = neededNodes(graph, producers);
  for (const node of graph.node) if (needed.has(node)) visit(node);
  return ordered;
}

function producersIn({ node: nodes }: GraphProto): Map<string, NodeProto> {
  const producers = new Map<string, NodeProto>();
  for (const node of nodes)
    for (const output of node.output) {
      if (!output) continue;
      if (producers.has(output)) throw damaged(`${labelOf(node)} computes ${output}, which another one computes`);
      producers.set(output, node);
    }
  return producers;
}

function neededNodes(graph: GraphProto, producers: ReadonlyMap<string, NodeProto>): Set<NodeProto> {
  const needed = new Set<NodeProto>();
  const names = graph.output.map(({ name }) => name);
  for (let name = names.pop(); name !== undefined; name = names.pop()) {
    const node = producers.get(name);
    if (!node || needed.has(node)) continue;
    needed.add(node);
    names.push(...node.input);
  }
  return needed;
}

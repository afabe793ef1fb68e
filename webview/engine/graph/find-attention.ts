/** All attention of a graph in order of execution, by every recogniser that there is. */
import { ancestorsOf, contentOf, isCross } from './attention-kind.ts';
import type { AttentionSite, RefusedNode } from './attention-site.ts';
import type { FoundAttention, GraphReading, Recogniser } from './graph-reading.ts';
import { recogniseGroupQuery } from './group-query-attention.ts';
import { recogniseMicrosoftAttention } from './microsoft-attention.ts';
import { recogniseMultiHead } from './multi-head-attention.ts';
import { recogniseOnnxAttention } from './onnx-attention.ts';
import { refuseOthers } from './other-attention.ts';
import { recogniseSoftmax } from './softmax-attention.ts';
import type { WiredNode, WiredTensor } from './wired-graph.ts';

/** A site as the graph holds it, with where it can be changed. */
export interface FoundSite {
  readonly site: Omit<AttentionSite<WiredTensor>, 'inputs'>;
  readonly node: WiredNode;
  readonly cut: FoundAttention['cut'];
}

const recognisers: readonly Recogniser[] = [
  recogniseSoftmax,
  recogniseGroupQuery,
  recogniseMultiHead,
  recogniseMicrosoftAttention,
  recogniseOnnxAttention,
  refuseOthers,
];

export function findAttention(reading: GraphReading): { sites: FoundSite[]; refused: RefusedNode[] } {
  const found: FoundAttention[] = [];
  const refused: RefusedNode[] = [];
  for (const node of reading.graph.nodes) {
    const result = recognise(node, reading);
    if (!result) continue;
    if ('refused' in result) refused.push({ operator: node.operator, node: node.label, reason: result.refused });
    else found.push(result);
  }
  return { sites: placed(found, reading), refused };
}

function recognise(node: WiredNode, reading: GraphReading): ReturnType<Recogniser> {
  for (const recogniser of recognisers) {
    const result = recogniser(node, reading);
    if (!result) continue;
    const outside =
      'refused' in result ? undefined : node.scope.path.find((_, depth) => ownerAt(node, depth)?.operator !== 'If');
    if (outside)
      return { refused: `it lies in the body of ${outside.node}, which is no If, and runs any number of times` };
    return result;
  }
  return undefined;
}

function ownerAt(node: WiredNode, depth: number): WiredNode | undefined {
  let scope = node.scope;
  while (scope.path.length > depth + 1 && scope.parent) scope = scope.parent;
  return scope.owner;
}

function placed(found: readonly FoundAttention[], reading: GraphReading): FoundSite[] {
  const crosses = new Set(found.filter((each) => isCrossIn(each, found, reading)));
  const encoded = ancestorsOf([...crosses].flatMap((each) => each.keySource));
  const content = contentOf(reading, found);
  const counts = new Map<string, number>();
  return found.map((each, order) => {
    const kind = crosses.has(each) ? 'cross' : each.kind;
    const isEncoder = kind !== 'cross' && encoded.has(each.result);
    const stack = crosses.size === 0 ? content(each.querySource[0]!) : isEncoder ? 'encoder' : 'decoder';
    const layer = nextLayer(counts, `${stack}/${kind === 'cross'}`, each.node);
    const { node, querySource: _query, keySource: _key, result: _result, cut, ...rest } = each;
    const place = { kind, stack, layer, order, path: node.scope.path, operator: node.operator, node: node.label };
    return { site: { ...rest, ...place }, node, cut };
  });
}

/** Layers may share the keys of one before them, which are then made from that one's input. */
function isCrossIn(each: FoundAttention, all: readonly FoundAttention[], reading: GraphReading): boolean {
  if (!isCross(each, reading)) return false;
  const same = all.find(
    (other) => other !== each && other.program && other.program.key.tensor === each.program?.key.tensor,
  );
  return !same || same.node.order > each.node.order || isCross(same, reading);
}

/** Branches of one If count on from the same number. */
function nextLayer(counts: Map<string, number>, group: string, { scope }: WiredNode): number {
  const keys = [group];
  for (const { node, branch } of scope.path) keys.push(`${keys.at(-1)}/${node}/${branch}`);
  let layer = 0;
  for (const key of keys) layer += counts.get(key) ?? 0;
  counts.set(keys.at(-1)!, (counts.get(keys.at(-1)!) ?? 0) + 1);
  return layer;
}

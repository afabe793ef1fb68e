/**
 * Prepares the graph of a decoder for inspection: what its attention follows from becomes outputs, every head gets a gate,
 * and logits are computed only for the rows asked for. Weights are neither read nor moved.
 */
import type { AttentionSite, RefusedNode } from './attention-site.ts';
import { addLogitsRows } from './logits-rows.ts';
import { type OnnxModel, readModel, writeModel } from './onnx-model.ts';
import { type TappedGraph, tapGraph } from './tap-graph.ts';

export interface DecoderGraph {
  /** The graph to run: the edited one. */
  readonly bytes: Uint8Array;
  readonly model: OnnxModel;
  /** One per layer, or why attention cannot be read. */
  readonly attention: readonly AttentionSite[] | { readonly refused: string };
  /** Inputs that were added for gates; each has to be fed. */
  readonly gateInputs: readonly string[];
  /** Whether the graph takes `logits_rows`. */
  readonly hasLogitsRows: boolean;
}

/** @throws AppError `model-damaged` when the graph is no valid one. */
export function prepareDecoderGraph(bytes: Uint8Array): DecoderGraph {
  const tapped = tapGraph(bytes, { gates: true });
  const why = refusalOf(tapped);
  const model = why ? readModel(bytes) : tapped.model;
  const hasLogitsRows = addLogitsRows(model, 'logits');
  return {
    bytes: writeModel(model),
    model,
    attention: why ? { refused: `Attention of this model cannot be read: ${why}.` } : tapped.sites,
    gateInputs: why ? [] : tapped.inputs,
    hasLogitsRows,
  };
}

/** A picture that lacks a layer would be wrong: all of them, or none. */
function refusalOf({ sites, refused, model }: TappedGraph): string | undefined {
  const [first] = refused;
  if (first) return describe(first, refused.length);
  const [site] = sites;
  if (!site) return `its graph has no attention that is known here, but ${listOperators(model)}`;
  const held = sites.find(({ program, value }) => !program || !value);
  if (held) return `${held.node} (${held.operator}): ${held.note ?? 'the graph does not show its values'}`;
  const odd = sites.find(({ heads, headDim }) => heads !== site.heads || headDim !== site.headDim);
  if (odd) return `${odd.node} has heads of another number or size than ${site.node}`;
  const cross = sites.find(({ kind }) => kind === 'cross' || kind === 'bidirectional');
  return cross && `${cross.node} is ${cross.kind} attention, which a decoder alone does not have`;
}

function describe({ operator, node, reason }: RefusedNode, count: number): string {
  return `${node} (${operator}): ${reason}${count > 1 ? `; and ${count - 1} more` : ''}`;
}

/** The most frequent ones. */
function listOperators({ graph }: OnnxModel): string {
  const counts = new Map<string, number>();
  for (const { opType } of graph.node) counts.set(opType, (counts.get(opType) ?? 0) + 1);
  const shown = [...counts].sort((a, b) => b[1] - a[1]).slice(0, 5);
  return shown.map(([type, count]) => `${count} ${type}`).join(', ');
}

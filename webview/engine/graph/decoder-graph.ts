/**
 * Prepares the graph of a decoder for inspection: Q, K and V of every attention become outputs, and logits are computed
 * only for the rows asked for. Weights are neither read nor moved, but for the rotary caches.
 */
import { AppError } from '../../../src/shared/app-error.ts';
import { type AttentionNode, findAttention } from './attention-nodes.ts';
import { addLogitsRows } from './logits-rows.ts';
import { addOutput, type OnnxModel, readModel, writeModel } from './onnx-model.ts';

export interface DecoderGraph {
  /** The graph to run: the edited one. */
  readonly bytes: Uint8Array;
  readonly model: OnnxModel;
  /** One per layer, or why attention cannot be read. */
  readonly attention: readonly AttentionNode[] | { readonly refused: string };
  /** Whether the graph takes `logits_rows`. */
  readonly hasLogitsRows: boolean;
}

export function prepareDecoderGraph(bytes: Uint8Array): DecoderGraph {
  const model = readModel(bytes);
  const attention = attentionOf(model);
  if (!('refused' in attention))
    for (const layer of attention) for (const name of tapNames(layer, model)) addOutput(model.graph, name);
  const hasLogitsRows = addLogitsRows(model, 'logits');
  return { bytes: writeModel(model), model, attention, hasLogitsRows };
}

/** Q, K and V as the operator gets them, and rotary caches that the graph computes. */
function tapNames({ query, key, value, rotary }: AttentionNode, { graph }: OnnxModel): string[] {
  const inputs = new Set(graph.input.map(({ name }) => name));
  const names = [query, key, value].filter((name) => name !== undefined);
  if (rotary)
    names.push(...[rotary.cos, rotary.sin].filter((name) => !inputs.has(name) && !isInitialiser(graph, name)));
  return names;
}

function isInitialiser(graph: OnnxModel['graph'], name: string): boolean {
  return graph.initializer.some((tensor) => tensor.name === name);
}

function attentionOf(model: OnnxModel): DecoderGraph['attention'] {
  try {
    return findAttention(model);
  } catch (thrown) {
    if (thrown instanceof AppError && thrown.code === 'model-unsupported') return { refused: thrown.message };
    throw thrown;
  }
}

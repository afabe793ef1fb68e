/**
 * The fixture `planted-induction` on our own kernels. Its graph has no cache, so the plan is written here from the
 * fixture's own matrices; the first test of `causal-planted.test.ts` holds it to the fixture's logits.
 */
import { readFileSync } from 'node:fs';
import { readModel } from '../../../webview/engine/graph/onnx-model.ts';
import type { LinearWeight, Plan, Slice, Step } from '../../../webview/engine/runtime/simd/plan.ts';
import { openPlan } from './open-tiny.ts';

const folder = new URL('../../fixtures/attention/planted-induction/', import.meta.url);
const [vocab, positions, hidden, width] = [14, 24, 66, 48];

/** The head that the fixture's meta.json calls `induction`. */
export const inductionHead = { layer: 1, head: 1 };

export async function openPlanted() {
  return openPlan(plantedPlan(), { contextLength: positions });
}

function plantedPlan(): Plan {
  const { graph } = readModel(new Uint8Array(readFileSync(new URL('model.onnx', folder))));
  const weights = graph.initializer.map((tensor): LinearWeight => {
    const dims = tensor.dims.map(Number);
    const isTable = tensor.name!.startsWith('embed');
    const [rows, columns] = isTable ? [dims[0]!, dims[1]!] : [dims[1]!, dims[0]!];
    const source = { bytes: tensor.rawData! };
    return {
      ...({ kind: 'float', rows, columns, isTransposed: !isTable } as const),
      tensor: { name: tensor.name!, dims, type: 'float32', source },
    };
  });
  const [tokens, places, ...rest] = weights as [LinearWeight, LinearWeight, ...LinearWeight[]];
  const head = rest.pop()!;
  const slice = (buffer: number, size: number): Slice => ({ buffer, offset: 0, width: size });
  const [x, added, logits] = [slice(0, hidden), slice(1, hidden), slice(6, vocab)];
  const [query, key, value, attended] = [2, 3, 4, 5].map((buffer) => slice(buffer, width)) as [
    Slice,
    Slice,
    Slice,
    Slice,
  ];
  const layer = (number: number, [q, k, v, o]: LinearWeight[]): Step[] => [
    { op: 'linear', from: x, weight: q!, to: query },
    { op: 'linear', from: x, weight: k!, to: key },
    { op: 'linear', from: x, weight: v!, to: value },
    {
      ...({ op: 'attention', layer: number, query, key, value, to: attended } as const),
      ...{ heads: 2, kvHeads: 2, headDim: width / 2, scale: 1, residual: x },
    },
    { op: 'linear', from: attended, weight: o!, to: added },
    { op: 'binary', function: 'add', left: x, right: added, to: x },
  ];
  return {
    ...{ layers: 2, heads: 2, kvHeads: 2, headDim: width / 2, vocabSize: vocab, maxPositions: positions },
    buffers: [hidden, hidden, width, width, width, width, vocab],
    steps: [
      { op: 'embed', by: 'token', table: tokens, to: x },
      { op: 'embed', by: 'position', table: places, to: added },
      { op: 'binary', function: 'add', left: x, right: added, to: x },
      ...layer(0, rest.slice(0, 4)),
      ...layer(1, rest.slice(4)),
      { op: 'select', buffers: [0] },
      { op: 'linear', from: x, weight: head, to: logits },
    ],
    logits,
  };
}

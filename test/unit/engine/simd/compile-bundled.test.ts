/** The bundled model's graph compiles to what the machine is fastest at. */
import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { ByteFile } from '../../../../webview/engine/byte-file.ts';
import { readModel } from '../../../../webview/engine/graph/onnx-model.ts';
import { compileDecoder } from '../../../../webview/engine/runtime/simd/compile/compile-graph.ts';
import type { Plan, Step } from '../../../../webview/engine/runtime/simd/plan.ts';

const home = new URL('../../../../media/models/SmolLM2-135M-Instruct/onnx/', import.meta.url);
const graph = new Uint8Array(readFileSync(new URL('model_q4.onnx', home)));
const weights = { path: 'model_q4.onnx_data', file: ByteFile.of(readFileSync(new URL('model_q4.onnx_data', home))) };
const plan = compileDecoder(readModel(graph), { externalData: [weights], contextLength: 8192 });

const of = <Op extends Step['op']>(op: Op) =>
  plan.steps.filter((step): step is Extract<Step, { op: Op }> => step.op === op);

test('has the sizes of SmolLM2', () => {
  const { layers, heads, kvHeads, headDim, vocabSize, maxPositions } = plan;

  expect({ layers, heads, kvHeads, headDim, vocabSize, maxPositions }).toEqual({
    ...{ layers: 30, heads: 9, kvHeads: 3, headDim: 64, vocabSize: 49_152, maxPositions: 8192 },
  });
});

describe('a layer', () => {
  test('is thirteen steps', () => {
    const second = plan.steps.filter(({ op }) => op !== 'select').slice(14, 27);

    expect(second.map(({ op }) => op)).toEqual([
      ...['norm', 'linear', 'linear', 'linear', 'rotary', 'rotary', 'attention'],
      ...['linear', 'norm', 'linear', 'linear', 'glu', 'linear'],
    ]);
  });

  test('adds to the residual stream in its norms', () => {
    expect(of('binary')).toEqual([]);
    expect(of('unary')).toEqual([]);
    expect(of('norm').filter(({ add }) => add)).toHaveLength(60);
    expect(of('norm').filter(({ sum }) => sum)).toHaveLength(59);
  });
});

test('embedding and head are the same numbers', () => {
  const place = ({
    quantised,
    scales,
  }: Extract<Plan['steps'][number], { op: 'linear' }>['weight'] & { kind: 'blocks' }) => [
    quantised.source,
    scales.source,
  ];
  const [embed] = of('embed');
  const head = of('linear').at(-1)!;

  if (embed?.table.kind !== 'blocks' || head.weight.kind !== 'blocks') throw new Error('The weights are not blocks.');
  expect(place(embed.table)).toEqual(place(head.weight));
  expect(embed.table.zeroPoints).toBe(head.weight.zeroPoints);
});

test('all layers turn by one table, and share few buffers', () => {
  expect(new Set(of('rotary').map(({ cos }) => cos)).size).toBe(1);
  expect(plan.buffers).toHaveLength(10);
  expect(plan.buffers.filter((width) => width > 1536)).toEqual([49_152]);
});

test('rows are selected right behind the last attention', () => {
  const at = plan.steps.findIndex(({ op }) => op === 'select');

  expect(plan.steps[at - 1]).toMatchObject({ op: 'attention', layer: 29 });
  expect(of('select')[0]!.buffers).toHaveLength(2);
});

/** Compiled plans of models in every export style give the logits and the attention of PyTorch. */
import { describe, expect, test } from 'vitest';
import { readModel } from '../../../../webview/engine/graph/onnx-model.ts';
import { compileDecoder } from '../../../../webview/engine/runtime/simd/compile/compile-graph.ts';
import type { TensorRef } from '../../../../webview/engine/runtime/simd/plan.ts';
import { attentionFixtures, readFixture } from '../../support/attention-fixture.ts';
import { PlanReference } from '../../support/plan-reference.ts';

const contextLength = 40;
/** The fixtures' own tolerances allow for rounded activations; here plans run in float64. */
const toleranceOf = (name: string) =>
  // Its tables of angles are rounded to float16, PyTorch's are not.
  name.endsWith('fp16') ? { logits: 2e-3, attention: 5e-4 } : { logits: 1e-4, attention: 1e-5 };

const read = ({ source }: TensorRef) => {
  if ('bytes' in source) return source.bytes;
  throw new Error(`${source.file} is not part of a fixture.`);
};

test('there are fixtures', () => {
  expect(attentionFixtures()).toHaveLength(18);
});

test('tables are computed for no more positions than memory holds', () => {
  const { graph } = readFixture('llama-cache-eager');
  expect(compileDecoder(readModel(graph), { contextLength: 2 ** 24 }).maxPositions).toBe(2 ** 17);
});

describe.each(attentionFixtures())('%s', (name) => {
  const fixture = readFixture(name);
  const tolerance = toleranceOf(name);
  const plan = compileDecoder(readModel(fixture.graph), { contextLength });
  const prompt = fixture.cases.find(({ past }) => past === 0)!.inputIds;

  test.each(fixture.cases)('$name', ({ inputIds, past, logits, attentions }) => {
    const reference = new PlanReference(plan, read);
    if (past > 0) reference.forward(prompt);
    const result = reference.forward(inputIds);

    const width = logits.dims.at(-1)!;
    expect(plan.vocabSize).toBe(width);
    expect(
      difference(
        result.logits.flatMap((row) => [...row]),
        logits.data,
      ),
    ).toBeLessThan(tolerance.logits);
    for (const [layer, attention] of attentions.entries()) {
      const weights = result.taps[layer]!.weights.flat().flatMap((row) => [...row]);
      expect(difference(weights, attention.data)).toBeLessThan(tolerance.attention);
    }
  });

  test('logits of some rows are those of all rows', () => {
    const all = new PlanReference(plan, read).forward(prompt).logits;
    const some = new PlanReference(plan, read).forward(prompt, { rows: [2, prompt.length - 1] }).logits;

    expect(some).toEqual([all[2], all.at(-1)]);
  });

  test('has a layer for each attention, which reads the residual stream', () => {
    const attentions = plan.steps.filter((step) => step.op === 'attention');

    expect(attentions.map(({ layer }) => layer)).toEqual(Array.from({ length: fixture.layers }, (_, i) => i));
    const widths = new Set(attentions.map(({ residual }) => residual?.width));
    expect(widths.size).toBe(1);
    expect(widths).not.toContain(undefined);
  });
});

function difference(a: readonly number[], b: ArrayLike<number>): number {
  expect(a).toHaveLength(b.length);
  return a.reduce((most, value, i) => Math.max(most, Math.abs(value - b[i]!)), 0);
}

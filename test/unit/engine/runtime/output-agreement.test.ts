import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { readModel } from '../../../../webview/engine/graph/onnx-model.ts';
import { outputTolerance, tapRefusal, worstOutput } from '../../../../webview/engine/runtime/output-agreement.ts';

const toleranceOf = (folder: string) =>
  outputTolerance(
    readModel(
      new Uint8Array(readFileSync(new URL(`../../../fixtures/attention/${folder}/model.onnx`, import.meta.url))),
    ).graph,
  );

const outputs = (...numbers: (readonly [string, readonly number[]])[]) =>
  new Map(numbers.map(([name, data]) => [name, { data }]));

test('float graphs may differ by rounding, quantised ones by nothing, half precision by its own', () => {
  expect(toleranceOf('llama-eager')).toEqual({ absolute: 1e-5, ofLargest: 0 });
  for (const folder of ['mistral-gqa-q4', 'bert-eager-ts-int8'])
    expect(toleranceOf(folder)).toEqual({ absolute: 0, ofLargest: 0 });
  expect(toleranceOf('llama-cache-sdpa-ts-fp16').ofLargest).toBeGreaterThan(0);
});

test('the output that differs most is named', () => {
  const before = outputs(['logits', [1, 2, 3]], ['present.0.key', [0, -4]], ['same', [5]]);
  const after = outputs(['logits', [1, 2.001, 3]], ['present.0.key', [0, -4.5]], ['same', [5]]);
  const worst = worstOutput(before, after, { absolute: 1e-5, ofLargest: 0 });
  expect(worst).toEqual({ output: 'present.0.key', difference: 0.5 });
  expect(tapRefusal(worst!)).toMatch(/changes its output "present\.0\.key" by 0\.50/);
});

test('an output that is missing, shorter or no number differs', () => {
  const before = outputs(['logits', [1, 2]]);
  const strict = { absolute: 1, ofLargest: 1 };
  for (const after of [outputs(), outputs(['logits', [1]]), outputs(['logits', [1, Number.NaN]])])
    expect(worstOutput(before, after, strict)).toEqual({ output: 'logits', difference: Number.POSITIVE_INFINITY });
  expect(
    worstOutput(outputs(['a', [Number.NaN]]), outputs(['a', [Number.NaN]]), { absolute: 0, ofLargest: 0 }),
  ).toBeUndefined();
});

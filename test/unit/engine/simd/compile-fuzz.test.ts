/** Broken graphs: 500 mutated copies of small ones are compiled or refused, and nothing else happens. */
import { expect, test } from 'vitest';
import { AppError } from '../../../../src/shared/app-error.ts';
import { type OnnxModel, readModel } from '../../../../webview/engine/graph/onnx-model.ts';
import { compileDecoder } from '../../../../webview/engine/runtime/simd/compile/compile-graph.ts';
import { readFixture } from '../../support/attention-fixture.ts';
import { mutations } from '../../support/graph-mutations.ts';
import { createRandom } from '../../support/random.ts';
import { groupQuery, tinyBytes } from '../../support/tiny-decoder.ts';

const originals = [
  tinyBytes(),
  tinyBytes({ attention: groupQuery({ isPacked: true, sink: [1, 2, 3, 4] }) }),
  ...['gpt2-ort-attention', 'mistral-gqa-q4', 'llama-cache-eager', 'mistral-cache-attention23'].map(
    (name) => readFixture(name).graph,
  ),
];

test.each(Object.keys(mutations))('%s', (name) => {
  const outcomes = { plan: 0, refused: 0 };
  for (let seed = 0; seed < 30; seed++) {
    const next = createRandom(seed * 101 + name.length * 7);
    const random = (below: number) => Math.floor(next() * below);
    const bytes = originals[seed % originals.length]!.slice(); // constants are views into them
    const model = readModel(bytes);
    mutations[name]!(model, random);
    outcomes[compiled(model, `${name}, seed ${seed}`)]++;
  }
  expect(outcomes.plan + outcomes.refused).toBe(30);
});

test('cut files', () => {
  for (let seed = 0; seed < 40; seed++) {
    const original = originals[seed % originals.length]!;
    const end = Math.floor(createRandom(seed)() * original.length);
    try {
      expect(['plan', 'refused']).toContain(compiled(readModel(original.slice(0, end)), `cut at ${end}`));
    } catch (thrown) {
      expect(thrown).toBeInstanceOf(AppError);
    }
  }
});

function compiled(model: OnnxModel, what: string): 'plan' | 'refused' {
  try {
    const plan = compileDecoder(model, { contextLength: 32 });
    for (const step of plan.steps)
      if ('to' in step) expect(step.to.offset + step.to.width, what).toBeLessThanOrEqual(plan.buffers[step.to.buffer]!);
    return 'plan';
  } catch (thrown) {
    expect(thrown, what).toBeInstanceOf(AppError);
    return 'refused';
  }
}

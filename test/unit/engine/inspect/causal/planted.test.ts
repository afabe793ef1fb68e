/** A model whose heads are known: causal tests find the one that copies what followed before. */
import { expect, test } from 'vitest';
import type { HeadOperation } from '../../../../../src/shared/causal-contract.ts';
import { knockOutEdges, patchHeads, runCausalTest } from '../../../../../webview/engine/inspect/causal/causal-test.ts';
import { rankHeads } from '../../../../../webview/engine/inspect/causal/head-ranking.ts';
import { readFixture } from '../../../support/attention-fixture.ts';
import { inductionHead, openPlanted } from '../../../support/planted-decoder.ts';

const identity = { modelId: 'planted-induction', runtime: 'simd', control: { sets: 1, seed: 1 } };

/** [begin] + r + r without its last token, which is what induction predicts. */
const repeated = [1, 5, 9, 3, 12, 7, 4, 10, 5, 9, 3, 12, 7, 4];
const answer = 10;
const probability = { kind: 'probability', token: answer } as const;

test('the plan is the fixture: its logits', async () => {
  const { decoder } = await openPlanted();
  for (const { inputIds, logits } of readFixture('planted-induction').cases) {
    const [, rows] = logits.dims;
    for (let at = 0; at < inputIds.length; at += rows!) {
      const { logits: own } = await decoder.forward(decoder.createCache(), inputIds.slice(at, at + rows!), {
        logits: 'all',
      });
      const expected = Array.from(logits.data).slice(at * decoder.vocabSize, (at + rows!) * decoder.vocabSize);
      for (const [i, value] of own.entries()) expect(value).toBeCloseTo(expected[i]!, 4);
    }
  }
});

test('the induction head has the largest effect at the token that predicts', async () => {
  const { decoder } = await openPlanted();
  const operation = { kind: 'zero', positions: 'last' } as const;
  const ranking = await rankHeads(decoder, repeated, operation, { ...identity, measure: probability });
  expect(ranking.original).toBeGreaterThan(0.1);
  expect(ranking.entries).toHaveLength(4);
  expect(ranking.entries[0]).toMatchObject(inductionHead);
  expect(ranking.entries[0]!.effect).toBeLessThan(-0.02);
  for (const { effect } of ranking.entries.slice(1))
    expect(Math.abs(effect)).toBeLessThan(Math.abs(ranking.entries[0]!.effect) / 3);
});

test.each(['zero', 'mean'] as const)('at all positions so has the head that it reads: %s', async (kind) => {
  const { decoder } = await openPlanted();
  const operation: HeadOperation =
    kind === 'zero'
      ? { kind, positions: 'all' }
      : { kind, positions: 'all', reference: [repeated], over: 'all-positions' };
  const ranking = await rankHeads(decoder, repeated, operation, { ...identity, measure: probability });
  const [first, second, ...others] = ranking.entries;
  // The previous-token head writes what the induction head looks for: without either, nothing is copied.
  expect([first, second].map((entry) => `${entry!.layer}.${entry!.head}`).sort()).toEqual(['0.0', '1.1']);
  for (const { effect } of others) expect(Math.abs(effect)).toBeLessThan(Math.abs(second!.effect) / 3);
});

test('without the edge to what followed the induction head has nothing to copy', async () => {
  const { decoder } = await openPlanted();
  const query = repeated.length - 1;
  const test = { layers: [1, 1] as [number, number], heads: [1] };
  const options = { ...identity, measure: probability, control: { sets: 5, seed: 3 } };
  const cut = await knockOutEdges(decoder, repeated, { ...test, edges: [[query, 7]] }, options);
  expect(cut.effect).toBeLessThan(-0.02);
  for (const effect of cut.control.effects) expect(Math.abs(effect)).toBeLessThan(Math.abs(cut.effect) / 10);
  const elsewhere = await knockOutEdges(decoder, repeated, { ...test, edges: [[query, 3]] }, options);
  expect(Math.abs(elsewhere.effect)).toBeLessThan(Math.abs(cut.effect) / 10);
});

test('patched from a text in which nothing repeats, and back', async () => {
  const { decoder } = await openPlanted();
  const fresh = [1, 2, 9, 3, 12, 7, 13, 10, 5, 9, 3, 12, 7, 4];
  const options = { ...identity, measure: probability };
  const heads = [inductionHead];
  const noise = await patchHeads(decoder, repeated, { heads, source: fresh, direction: 'noise' }, options);
  expect(noise.effect).toBeLessThan(-0.02);
  const denoise = await patchHeads(decoder, fresh, { heads, source: repeated, direction: 'denoise' }, options);
  expect(denoise.effect).toBeGreaterThan(0.02);
  expect(denoise.source).toBeCloseTo(noise.original, 6);
  expect(denoise.operation).toMatchObject({ direction: 'denoise' });
});

test('a control that there is not is said', async () => {
  const { decoder } = await openPlanted();
  const heads = [0, 1].map((head) => ({ layer: 1, head }));
  const operation = { kind: 'zero', heads, positions: 'all' } as const;
  const record = await runCausalTest(
    decoder,
    repeated,
    { ...operation, heads },
    { ...identity, measure: { kind: 'kl' } },
  );
  expect(record.control).toMatchObject({ effects: [], note: expect.stringContaining('only 0 other heads') });
  expect(record.control.mean).toBeUndefined();
});

/** Every label of the planted models right and none wrong, on maps that the models compute, beside 100 random heads. */
import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { readTensors } from '../../../../scripts/attention-check/tensor-file.ts';
import type { AttentionMap } from '../../../../src/shared/attention/attention-map.ts';
import { createHeadLabeller, type HeadLabel, labelHeads } from '../../../../src/shared/attention/label-heads.ts';
import { inductionScore, repeatedSequences } from '../../../../src/shared/attention/repeated-sequences.ts';
import { rowStatisticsOf } from '../../../../src/shared/attention/row-statistics.ts';
import { duplicateTokenScore } from '../../../../src/shared/attention/token-relations.ts';
import { capture, ints, openTapped } from '../../support/tapped-run.ts';
import { pointMap, softmaxHead } from './random-maps.ts';

const folders = ['planted-induction', 'planted-previous-token', 'planted-sink'];
const labelOf: Record<string, HeadLabel> = {
  previous: 'previous-token',
  current: 'self',
  duplicate: 'duplicate-token',
  induction: 'induction',
  sink: 'sink',
  uniform: 'uniform',
};

interface Meta {
  readonly cases: readonly { readonly name: string; readonly file: string }[];
  readonly head_scores: Record<string, readonly Record<string, Record<string, number>>[]>;
  readonly planted: readonly { readonly layer: number; readonly head: number; readonly kind: string }[];
}

const home = (folder: string) => new URL(`../../../fixtures/attention/${folder}/`, import.meta.url);
const readMeta = (folder: string) => JSON.parse(readFileSync(new URL('meta.json', home(folder)), 'utf8')) as Meta;

/** The models know tokens 2 to 13 and 24 positions. */
const vocabulary = Array.from({ length: 12 }, (_, id) => id + 2);
const optionsOf = (period: number, seed: number) => ({ vocabulary, period, seed, prefix: [1] });

/** Maps by `layer.head`, one a sequence, computed by the model itself. */
async function runModel(folder: string, texts: readonly (readonly number[])[]): Promise<Map<string, AttentionMap[]>> {
  const { tapped, session, run } = await openTapped(new Uint8Array(readFileSync(new URL('model.onnx', home(folder)))));
  const heads = new Map<string, AttentionMap[]>();
  for (const tokens of texts) {
    const size = tokens.length;
    const feeds = {
      input_ids: ints([1, size], tokens),
      attention_mask: ints(
        [1, size],
        tokens.map(() => 1),
      ),
    };
    const results = await run(feeds);
    tapped.sites.forEach((site, layer) => {
      const read = capture(site, results, feeds)!;
      for (let head = 0; head < read.heads; head++) {
        const map: AttentionMap = { kind: 'causal', queries: size, keys: size, weights: read.map(0, head) };
        heads.set(`${layer}.${head}`, [...(heads.get(`${layer}.${head}`) ?? []), map]);
      }
    });
  }
  await session.release();
  return heads;
}

describe.each(folders)('%s', (folder) => {
  test.each([
    [11, 0],
    [10, 7],
    [8, 3],
  ])('period %d, seed %d: every label right, none wrong', async (period, seed) => {
    const sequences = repeatedSequences(optionsOf(period, seed));
    const heads = await runModel(
      folder,
      sequences.map(({ tokens }) => tokens),
    );
    const labelled = labelHeads([...heads.values()], sequences);
    const found = Object.fromEntries([...heads.keys()].map((name, index) => [name, labelled[index]!.labels]));
    const expected = readMeta(folder).planted.map(({ layer, head, kind }) => [`${layer}.${head}`, [labelOf[kind]]]);
    expect(found).toEqual(Object.fromEntries(expected));
  });

  test('scores of the stored closed forms are those stored beside them', () => {
    const meta = readMeta(folder);
    for (const { name, file } of meta.cases) {
      const tensors = readTensors(new Uint8Array(readFileSync(new URL(file, home(folder)))), file);
      const { dims, data } = tensors.get('input_ids')!;
      const size = dims[1]!;
      meta.head_scores[name]!.forEach((heads, row) => {
        const tokens = Array.from({ length: size }, (_, index) => Number(data[row * size + index]));
        for (const [address, scores] of Object.entries(heads)) {
          const [layer, head] = address.split('.').map(Number) as [number, number];
          const expected = tensors.get(`expected.${layer}`)!;
          const start = (row * expected.dims[1]! + head) * size * size;
          const weights = (expected.data as Float32Array).slice(start, start + size * size);
          const map: AttentionMap = { kind: 'causal', queries: size, keys: size, weights };
          const statistics = rowStatisticsOf(map);
          expect(statistics.previous).toBeCloseTo(scores.previous_token!, 4);
          expect(statistics.self).toBeCloseTo(scores.self!, 4);
          expect(statistics.first).toBeCloseTo(scores.first_token!, 4);
          expect(duplicateTokenScore(map, tokens).score).toBeCloseTo(scores.duplicate_token!, 4);
          if (scores.induction === undefined) continue;
          const sequence = { tokens, start: 1, period: (size - 1) / 2 };
          expect(inductionScore([map], [sequence]).score).toBeCloseTo(scores.induction, 4);
        }
      });
    }
  });
});

test.each([1, 2, 3, 4, 5])('100 random heads, seed %d: no label', (seed) => {
  const sequences = repeatedSequences(optionsOf(11, seed));
  const labeller = createHeadLabeller(sequences);
  const labels = Array.from({ length: 100 }, (_, head) => {
    const sharpness = 0.25 * 1.05 ** head;
    const options = { sharpness, width: [3, 8, 24, 0][head % 4]!, seed: 1000 * seed + head };
    return labeller.label(
      softmaxHead(
        sequences.map(({ tokens }) => tokens),
        options,
      ),
    ).labels;
  });
  expect(labels.flat()).toEqual([]);
});

const labelSequences = repeatedSequences(optionsOf(11, 42));

test.each<[HeadLabel, 'causal' | 'bidirectional', (query: number) => number]>([
  ['previous-token', 'bidirectional', (query) => Math.max(0, query - 1)],
  ['self', 'bidirectional', (query) => query],
  ['sink', 'bidirectional', () => 0],
  ['duplicate-token', 'bidirectional', (query) => (query > 11 ? query - 11 : query)],
  ['induction', 'causal', (query) => Math.max(0, query - 10)],
])('a point head of kind %s, %s', (label, kind, keyOf) => {
  const maps = labelSequences.map(({ tokens }) => pointMap(kind, tokens.length, keyOf));
  // Before the repeat, this induction head has only the first token to look at: half of its queries, so no sink.
  expect(labelHeads([maps], labelSequences, { kind })[0]!.labels).toEqual([label]);
});

test('mass on a learned sink is reported, and takes a label away', () => {
  const labeller = createHeadLabeller(labelSequences);
  const headWith = (sink: number) =>
    labelSequences.map(({ tokens: { length } }): AttentionMap => {
      const point = pointMap('causal', length, (query) => Math.max(0, query - 1));
      const weights = Array.from(point.weights, (weight) => weight * (1 - sink));
      return { ...point, weights, sinks: new Array<number>(length).fill(sink) };
    });
  expect(labeller.label(headWith(0.2))).toMatchObject({
    labels: ['previous-token'],
    learnedSink: expect.closeTo(0.2, 6),
  });
  expect(labeller.label(headWith(0.6))).toMatchObject({ labels: [], learnedSink: expect.closeTo(0.6, 6) });
});

test('what no label can rest on is refused', () => {
  expect(() => createHeadLabeller(labelSequences.slice(0, 1))).toThrow('never rests on one');
  const distinct = [0, 1].map(() => ({ tokens: vocabulary }));
  expect(() => createHeadLabeller(distinct)).toThrow('repeat too little');
  expect(() => createHeadLabeller(labelSequences, { nulls: 5 })).toThrow('5 random heads');
  const labeller = createHeadLabeller(labelSequences);
  expect(() => labeller.label([])).toThrow('0 maps for 10');
  const foreign = labelSequences.map(() => pointMap('causal', 4, () => 0));
  expect(() => labeller.label(foreign)).toThrow('not of 23 tokens');
  const other = labelSequences.map(() => pointMap('bidirectional', 23, () => 0));
  expect(() => labeller.label(other)).toThrow('not defined for bidirectional');
});

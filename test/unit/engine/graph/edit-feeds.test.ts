import type { Tensor } from 'onnxruntime-web';
import * as ort from 'onnxruntime-web/wasm';
import { expect, test } from 'vitest';
import { AppError } from '../../../../src/shared/app-error.ts';
import { detachWeights } from '../../../../webview/engine/graph/detach-weights.ts';
import { editFeed, type Feed, neutralFeeds } from '../../../../webview/engine/graph/edit-feeds.ts';
import { tapGraph } from '../../../../webview/engine/graph/tap-graph.ts';
import { GraphBuilder } from '../../support/graph-builder.ts';
import { causalMask, headDim, heads, plain, type Spelled, width } from '../../support/softmax-spellings.ts';
import { capture, type Feeds, floats, largestDifference, openSession, openTapped } from '../../support/tapped-run.ts';

const [batch, tokens] = [2, 4];

function graphOf(build: (graph: GraphBuilder, x: string) => Spelled): Uint8Array {
  const graph = new GraphBuilder();
  const x = graph.input('x', 'float', ['batch', 'tokens', width]);
  graph.output(graph.node('MatMul', [build(graph, x).output, graph.random([width, 64])]));
  return graph.bytesOfModel();
}

const causal = graphOf((graph, x) => plain(graph, x, { scores: (g, s) => g.node('Add', [s, causalMask(g, x)]) }));

const x = floats(
  [batch, tokens, width],
  Array.from({ length: batch * tokens * width }, (_, i) => Math.sin(i * 3.7)),
);

function tensors(feeds: readonly Feed[]): Feeds {
  return Object.fromEntries(
    feeds.map(({ name, type, dims, data }) => [name, new ort.Tensor(type, data as Float32Array, dims)]),
  );
}

const edited = openTapped(causal, { gates: true, patches: true, cuts: true });

async function runWith(...changes: readonly Feed[]) {
  const { tapped, run } = await edited;
  const feeds = { x, ...tensors(neutralFeeds(tapped.sites)), ...tensors(changes) };
  const results = await run(feeds);
  const [site] = tapped.sites;
  const logits = Object.entries(results).find(([name]) => !tapped.outputs.includes(name))![1].data as Float32Array;
  return { site: site!, logits, results, feeds, output: results[site!.output!.tensor]!.data as Float32Array };
}

const siteOf = async () => (await edited).tapped.sites[0]!;

test('inputs that change nothing leave every bit', async () => {
  const untouched = (await (await openSession(causal)).run({ x })) as Record<string, Tensor>;
  const { logits } = await runWith();
  expect(largestDifference(logits, Object.values(untouched)[0]!.data as Float32Array)).toBe(0);
});

test('a gate multiplies one head of the output', async () => {
  const before = (await runWith()).output;
  const { output } = await runWith(editFeed(await siteOf(), 'gate', { data: [1, 0, 1, 0.5], sizes: { head: heads } }));
  const expected = before.map((value, i) => value * [1, 0, 1, 0.5][Math.floor((i % width) / headDim)]!);
  expect(largestDifference(output, expected)).toBe(0);
});

test('gates of a batch differ by its entries', async () => {
  const before = (await runWith()).output;
  const gates = [1, 1, 1, 1, 0, 0, 0, 0];
  const { output } = await runWith(editFeed(await siteOf(), 'gate', { data: gates, sizes: { batch, head: heads } }));
  const half = before.length / 2;
  expect(largestDifference(output.subarray(0, half), before.subarray(0, half))).toBe(0);
  expect(output.subarray(half).every((value) => value === 0)).toBe(true);
});

test('a patch takes the place of a head whose gate is 0', async () => {
  const site = await siteOf();
  const patch = new Float32Array(heads * tokens * headDim);
  for (let i = 0; i < tokens * headDim; i++) patch[2 * tokens * headDim + i] = i + 1; // [head, query, dim]
  const sizes = { head: heads, query: tokens, dim: headDim };
  const { output } = await runWith(
    editFeed(site, 'gate', { data: [1, 1, 0, 1], sizes: { head: heads } }),
    editFeed(site, 'patch', { data: patch, sizes }),
  );
  for (let token = 0; token < tokens; token++)
    expect([...output.subarray(token * width + 2 * headDim, token * width + 3 * headDim)]).toEqual(
      Array.from({ length: headDim }, (_, i) => token * headDim + i + 1),
    );
});

test('a cut takes a key from one query of one head, and the others share its weight', async () => {
  const site = await siteOf();
  const [head, query, key] = [1, 3, 2];
  const cut = new Float32Array(heads * tokens * tokens);
  cut[(head * tokens + query) * tokens + key] = Number.NEGATIVE_INFINITY;
  const before = await runWith();
  const after = await runWith(editFeed(site, 'cut', { data: cut, sizes: { head: heads, query: tokens, key: tokens } }));
  const rows = [before, after].map(({ results, feeds }) => capture(site, results, feeds)!);
  const [whole, without] = [rows[0]!.row(0, head, query), rows[1]!.row(0, head, query)];
  const rest = 1 - whole[key]!;
  expect(
    largestDifference(
      without,
      whole.map((weight, j) => (j === key ? 0 : weight / rest)),
    ),
  ).toBeLessThan(1e-6);
  expect(largestDifference(rows[1]!.row(0, head, 2), rows[0]!.row(0, head, 2))).toBe(0);
  expect(largestDifference(after.logits, before.logits)).toBeGreaterThan(1e-3);
});

test('values that do not fit are refused', async () => {
  const site = await siteOf();
  expect(() => editFeed(site, 'gate', { data: [1, 0], sizes: { head: heads } })).toThrow(AppError);
  const plainSite = tapGraph(causal).sites[0]!;
  expect(() => editFeed(plainSite, 'gate', { data: [1], sizes: {} })).toThrow(/takes no gate/);
});

test('nothing is added that was not asked for', () => {
  const { inputs, sites } = tapGraph(causal);
  expect(inputs).toEqual([]);
  expect(neutralFeeds(sites)).toEqual([]);
});

test('weights of a large file stay in it', async () => {
  const tapped = tapGraph(causal);
  expect(detachWeights(tapped.model, causal, 'model.onnx')).toBe(true);
  const graph = tapped.toBytes();
  expect(graph.length).toBeLessThan(causal.length - 4096);
  const session = await ort.InferenceSession.create(graph, {
    executionProviders: ['wasm'],
    logSeverityLevel: 4,
    externalData: [{ path: 'model.onnx', data: causal }],
  });
  const [untouched, results] = [await (await openSession(causal)).run({ x }), await session.run({ x })];
  for (const [name, tensor] of Object.entries(untouched))
    expect(largestDifference(results[name]!.data as Float32Array, tensor.data as Float32Array)).toBe(0);
});

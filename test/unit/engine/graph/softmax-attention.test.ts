import { toBinary } from '@bufbuild/protobuf';
import { describe, expect, test } from 'vitest';
import { ModelProtoSchema } from '../../../../webview/engine/graph/onnx_pb.js';
import { readModel } from '../../../../webview/engine/graph/onnx-model.ts';
import { tapGraph } from '../../../../webview/engine/graph/tap-graph.ts';
import { GraphBuilder } from '../../support/graph-builder.ts';
import {
  byHead,
  causalMask,
  headDim,
  heads,
  merged,
  plain,
  projected,
  type Spelled,
  scaled,
  softmax,
  turned,
  width,
} from '../../support/softmax-spellings.ts';
import { capture, type Feeds, floats, largestDifference, openSession, openTapped } from '../../support/tapped-run.ts';

interface Form {
  readonly build: (graph: GraphBuilder, x: string) => Spelled;
  readonly kind: 'causal' | 'bidirectional' | 'cross';
  readonly site?: Record<string, unknown>;
  /** Of the weights of the operator and those that its program computes. */
  readonly tolerance?: number;
  readonly opset?: bigint;
}

const tokens = 5;
const batch = 2;

const forms: Record<string, Form> = {
  'with a causal mask added (GPT-2, Llama)': {
    build: (graph, x) => plain(graph, x, { scores: (g, s) => g.node('Add', [s, causalMask(g, x)]) }),
    kind: 'causal',
    site: { heads, kvHeads: heads, headDim, scale: 0.5 },
  },
  'with repeated keys (grouped queries)': {
    build: (graph, x) => plain(graph, x, { kvHeads: 2 }),
    kind: 'bidirectional',
    site: { heads, kvHeads: 2 },
  },
  'with one key for all heads, broadcast (Falcon, multi-query)': {
    build: (graph, x) => {
      const query = byHead(graph, projected(graph, x));
      const [key, value] = [0, 1].map(() => byHead(graph, projected(graph, x, 1)));
      const weights = softmax(graph, scaled(graph, graph.node('MatMul', [query, turned(graph, key!)])));
      return { weights, output: merged(graph, graph.node('MatMul', [weights, value!])) };
    },
    kind: 'bidirectional',
    site: { heads, kvHeads: 1 },
  },
  'with batch and heads merged (OPT, Whisper)': {
    build: (graph, x) => mergedBatch(graph, x, (_, s) => s),
    kind: 'bidirectional',
    site: { heads, kvHeads: heads },
  },
  'with batch and heads merged, the mask added to them apart (BART)': {
    build: (graph, x) =>
      mergedBatch(graph, x, (g, s) => {
        const apart = g.node('Reshape', [s, fourSizes(g, x)]);
        return g.node('Reshape', [g.node('Add', [apart, causalMask(g, x)]), threeSizes(g, x)]);
      }),
    kind: 'causal',
    site: { heads, kvHeads: heads },
  },
  'with a slope for every head (ALiBi, BLOOM)': {
    build: (graph, x) => {
      const bias = (g: GraphBuilder) => g.random([heads, 1, tokens], 3);
      return plain(graph, x, { scores: (g, s) => g.node('Add', [g.node('Add', [s, bias(g)]), causalMask(g, x)]) });
    },
    kind: 'causal',
  },
  'with a soft cap (Gemma 2)': {
    build: (graph, x) =>
      plain(graph, x, {
        scores: (g, s) => g.node('Mul', [g.node('Tanh', [g.node('Div', [s, g.float(1.5)])]), g.float(1.5)]),
      }),
    kind: 'bidirectional',
    site: { softcap: 1.5, scale: 0.5 },
  },
  'with a sink for every head (gpt-oss)': {
    build: (graph, x) => plain(graph, x, { weights: withSink }),
    kind: 'bidirectional',
    site: { hasSink: true },
  },
  'with a guard against rows without a key (decomposed SDPA)': {
    build: (graph, x) =>
      plain(graph, x, {
        weights: (g, s) => {
          const weights = softmax(g, s);
          return g.node('Where', [g.node('IsNaN', [weights]), g.float(0), weights]);
        },
      }),
    kind: 'bidirectional',
  },
  'with queries and keys scaled each (SDPA)': {
    build: (graph, x) => {
      const root = () => graph.float(Math.sqrt(0.5));
      const query = graph.node('Mul', [byHead(graph, projected(graph, x)), root()]);
      const key = graph.node('Mul', [turned(graph, byHead(graph, projected(graph, x))), root()]);
      const weights = softmax(graph, graph.node('MatMul', [query, key]));
      const value = byHead(graph, projected(graph, x));
      return { weights, output: merged(graph, graph.node('MatMul', [weights, value])) };
    },
    kind: 'bidirectional',
    site: { scale: expect.closeTo(0.5, 6) },
  },
  'with softmax by its parts': {
    build: (graph, x) =>
      plain(graph, x, {
        weights: (g, s) => {
          const highest = g.node('ReduceMax', [s, g.ints([-1])], { keepdims: 1 });
          const powers = g.node('Exp', [g.node('Sub', [s, highest])]);
          return g.node('Div', [powers, g.node('ReduceSum', [powers, g.ints([-1])], { keepdims: 1 })]);
        },
      }),
    kind: 'bidirectional',
  },
  'by Einsum (T5X, Keras)': {
    build: (graph, x) => {
      const [query, key, value] = [0, 1, 2].map(() => projected(graph, x));
      const scores = graph.node('Einsum', [query!, key!], { equation: 'bqhd,bkhd->bhqk' });
      const weights = softmax(graph, scaled(graph, scores));
      const context = graph.node('Einsum', [weights, value!], { equation: 'bhqk,bkhd->bqhd' });
      return { weights, output: graph.node('Reshape', [context, graph.ints([0, 0, width])]) };
    },
    kind: 'bidirectional',
    site: { heads, kvHeads: heads },
  },
  'with keys on the left, turned behind the product': {
    build: (graph, x) => {
      const [query, key, value] = [0, 1, 2].map(() => byHead(graph, projected(graph, x)));
      const scores = turned(graph, graph.node('MatMul', [key!, turned(graph, query!)]));
      const weights = softmax(graph, scaled(graph, scores));
      return { weights, output: merged(graph, graph.node('MatMul', [weights, value!])) };
    },
    kind: 'bidirectional',
    site: { heads, kvHeads: heads },
  },
  'with a learned query (pooling of SigLIP)': {
    build: (graph, x) => {
      const query = byHead(graph, projected(graph, graph.random([1, 1, width])));
      const [key, value] = [0, 1].map(() => byHead(graph, projected(graph, x)));
      const weights = softmax(graph, scaled(graph, graph.node('MatMul', [query, turned(graph, key!)])));
      return { weights, output: merged(graph, graph.node('MatMul', [weights, value!])) };
    },
    kind: 'cross',
    site: { heads, kvHeads: heads },
  },
  'to another sequence': {
    build: (graph, x) => plain(graph, x, { source: graph.input('encoded', 'float', ['batch', 'source', width]) }),
    kind: 'cross',
  },
  'with weights rounded to bytes and back (QDQ)': {
    build: (graph, x) =>
      plain(graph, x, { scores: rounded(0.05), weights: (g, s) => rounded(1 / 255)(g, softmax(g, s)) }),
    kind: 'bidirectional',
    tolerance: 1 / 255 + 1e-6, // a score that falls between two codes may round to either
  },
  'of products of bytes (dynamic int8)': {
    build: (graph, x) => {
      const [query, key, value] = [0, 1, 2].map(() => byHead(graph, projected(graph, x)));
      const [q, qScale, qZero] = graph.nodeOf('DynamicQuantizeLinear', [query!], {}, 3) as [string, string, string];
      const [k, kScale, kZero] = graph.nodeOf('DynamicQuantizeLinear', [turned(graph, key!)], {}, 3) as [
        string,
        string,
        string,
      ];
      const sums = graph.node('Cast', [graph.node('MatMulInteger', [q, k, qZero, kZero])], { to: 1 });
      const scores = graph.node('Mul', [sums, graph.node('Mul', [qScale, kScale])]);
      const weights = softmax(graph, scaled(graph, scores));
      return { weights, output: merged(graph, graph.node('MatMul', [weights, value!])) };
    },
    kind: 'bidirectional',
    site: { heads, kvHeads: heads },
  },
  'with a softmax of before version 13': {
    build: (graph, x) => plain(graph, x, { weights: (g, s) => g.node('Softmax', [s], { axis: 3 }) }),
    kind: 'bidirectional',
    opset: 12n,
  },
};

/** Queries, keys and values as [batch * heads, token, headDim]. */
function mergedBatch(graph: GraphBuilder, x: string, mask: (g: GraphBuilder, scores: string) => string): Spelled {
  const [query, key, value] = [0, 1, 2].map(() =>
    graph.node('Reshape', [
      byHead(graph, projected(graph, x)),
      graph.node('Concat', [product(graph, x), graph.ints([-1, headDim])], { axis: 0 }),
    ]),
  );
  const scores = scaled(graph, graph.node('MatMul', [query!, turned(graph, key!, 3)]));
  const weights = softmax(graph, mask(graph, scores));
  const context = graph.node('MatMul', [weights, value!]);
  const four = graph.node('Reshape', [
    context,
    graph.node('Concat', [sizeOf(graph, x, 0), graph.ints([heads, -1, headDim])], { axis: 0 }),
  ]);
  return { weights, output: merged(graph, four) };
}

const sizeOf = (graph: GraphBuilder, x: string, axis: number) =>
  graph.node('Gather', [graph.node('Shape', [x]), graph.ints([axis])]);
const product = (graph: GraphBuilder, x: string) => graph.node('Mul', [sizeOf(graph, x, 0), graph.ints([heads])]);
const fourSizes = (graph: GraphBuilder, x: string) =>
  graph.node('Concat', [sizeOf(graph, x, 0), graph.ints([heads]), sizeOf(graph, x, 1), sizeOf(graph, x, 1)], {
    axis: 0,
  });
const threeSizes = (graph: GraphBuilder, x: string) =>
  graph.node('Concat', [product(graph, x), sizeOf(graph, x, 1), sizeOf(graph, x, 1)], { axis: 0 });

function withSink(graph: GraphBuilder, scores: string): string {
  const shape = graph.node('Shape', [scores]);
  const part = (axis: number) => graph.node('Gather', [shape, graph.ints([axis])]);
  const sizes = graph.node('Concat', [part(0), graph.ints([heads]), part(2), graph.ints([1])], { axis: 0 });
  const sinks = graph.node('Expand', [graph.random([1, heads, 1, 1], 4), sizes]);
  const all = graph.node('Concat', [scores, sinks], { axis: -1 });
  const highest = graph.node('ReduceMax', [all, graph.ints([-1])], { keepdims: 1 });
  const weights = softmax(graph, graph.node('Sub', [all, highest]));
  return graph.node('Slice', [weights, graph.ints([0]), graph.ints([-1]), graph.ints([3])]);
}

const rounded = (step: number) => (graph: GraphBuilder, x: string) => {
  const [scale, zero] = [graph.float(step), graph.bytes([], Uint8Array.of(step > 0.01 ? 128 : 0))];
  return graph.node('DequantizeLinear', [graph.node('QuantizeLinear', [x, scale, zero]), scale, zero]);
};

function numbers(count: number, seed: number): number[] {
  return Array.from({ length: count }, (_, i) => Math.sin(i * 12.9898 + seed) * 2);
}

const feedsFor = (graph: { inputNames: readonly string[] }): Feeds => ({
  x: floats([batch, tokens, width], numbers(batch * tokens * width, 1)),
  ...(graph.inputNames.includes('encoded') && { encoded: floats([batch, 7, width], numbers(batch * 7 * width, 2)) }),
});

function bytesOf({ build, opset }: Pick<Form, 'build' | 'opset'>, layers = 1): Uint8Array {
  const graph = new GraphBuilder();
  let x = graph.input('x', 'float', ['batch', 'tokens', width]);
  for (let layer = 0; layer < layers; layer++) {
    const { output } = build(graph, x);
    x = graph.node('Add', [x, graph.node('MatMul', [output, graph.random([width, width])])]);
  }
  graph.output(x);
  const model = readModel(graph.bytesOfModel());
  if (opset) model.proto.opsetImport[0]!.version = opset;
  return toBinary(ModelProtoSchema, model.proto);
}

describe.each(Object.entries(forms))('attention %s', (_, form) => {
  test('is read as the graph computes it, and its outputs stay what they were', async () => {
    const graph = bytesOf(form);
    const untouched = await openSession(graph);
    const { tapped, session, run } = await openTapped(graph, { probabilities: true });
    const feeds = feedsFor(session);
    const [before, results] = [await untouched.run(feeds), await run(feeds)];
    expect(tapped.refused).toEqual([]);
    expect(tapped.sites).toHaveLength(1);
    const [site] = tapped.sites;
    expect(site).toMatchObject({ layer: 0, ...form.site });
    for (const name of untouched.outputNames)
      expect(largestDifference(results[name]!.data as Float32Array, before[name]!.data as Float32Array)).toBe(0);

    const { program, ...held } = site!;
    expect(program).toBeDefined();
    const [computed, truth] = [capture(site!, results, feeds)!, capture(held, results, feeds)!];
    expect(computed.kind).toBe(form.kind);
    for (const each of [computed, truth])
      expect([each.batch, each.heads]).toEqual([form.kind === 'cross' && truth.batch === 1 ? 1 : batch, heads]);
    for (let b = 0; b < truth.batch; b++)
      for (let head = 0; head < heads; head++)
        expect(largestDifference(computed.map(b, head), truth.map(b, head))).toBeLessThan(form.tolerance ?? 1e-6);
    await Promise.all([untouched.release(), session.release()]);
  });
});

describe('attention of codes (QOperator)', () => {
  const coded = (graph: GraphBuilder, step: number): [scale: string, zero: string] => [
    graph.float(step),
    graph.bytes([], Uint8Array.of(128)),
  ];
  const quantised = (graph: GraphBuilder, x: string) => {
    const parts = coded(graph, 0.02);
    return { codes: graph.node('QuantizeLinear', [x, ...parts]), parts };
  };
  type Codes = ReturnType<typeof quantised>;
  const product = (graph: GraphBuilder, a: Codes, b: Codes): Codes => {
    const parts = coded(graph, 0.05);
    return { codes: graph.node('QLinearMatMul', [a.codes, ...a.parts, b.codes, ...b.parts, ...parts]), parts };
  };
  const weights = (graph: GraphBuilder, { codes, parts }: Codes): Codes => {
    const own: [string, string] = [graph.float(1 / 256), graph.bytes([], Uint8Array.of(0))];
    const node = graph.node('com.microsoft.QLinearSoftmax', [codes, ...parts, ...own], { axis: -1, opset: 13 });
    return { codes: node, parts: own };
  };

  test('whose heads are one with the batch is named, and not read as one head', () => {
    const graph = new GraphBuilder();
    const x = graph.input('x', 'float', ['rows', tokens, headDim]);
    const [query, value] = [quantised(graph, x), quantised(graph, x)];
    const key = quantised(graph, turned(graph, x, 3));
    graph.output(product(graph, weights(graph, product(graph, query, key)), value).codes);
    const { sites, refused } = tapGraph(graph.bytesOfModel());
    expect(sites).toEqual([]);
    expect(refused).toMatchObject([
      { operator: 'com.microsoft.QLinearSoftmax', reason: expect.stringContaining('QDQ') },
    ]);
  });

  test('does not include a classifier of codes', () => {
    const graph = new GraphBuilder();
    const x = graph.input('x', 'float', ['rows', tokens, headDim]);
    graph.output(weights(graph, quantised(graph, x)).codes);
    expect(tapGraph(graph.bytesOfModel())).toMatchObject({ sites: [], refused: [] });
  });
});

describe('what is no attention', () => {
  const others: Record<string, (graph: GraphBuilder, x: string) => string> = {
    'a router of experts': (graph, x) => {
      const gates = softmax(graph, graph.node('MatMul', [x, graph.random([width, 4])]));
      return graph.node('MatMul', [
        gates,
        graph.node('MatMul', [graph.node('Transpose', [x], { perm: [0, 2, 1] }), graph.random([tokens, 4])]),
      ]);
    },
    'a classifier': (graph, x) => softmax(graph, graph.node('MatMul', [x, graph.random([width, 3])])),
    'linear attention, with softmax over features': (graph, x) => {
      const [query, key, value] = [0, 1, 2].map(() => byHead(graph, projected(graph, x)));
      const sums = graph.node('MatMul', [turned(graph, softmax(graph, key!)), value!]);
      return graph.node('MatMul', [softmax(graph, query!), sums]);
    },
    'weights of a mixture of constants': (graph, x) =>
      graph.node('MatMul', [softmax(graph, graph.node('MatMul', [x, turned(graph, x, 3)])), graph.random([tokens, 3])]),
  };
  test.each(Object.entries(others))('%s', (_, build) => {
    const graph = new GraphBuilder();
    graph.output(build(graph, graph.input('x', 'float', ['batch', tokens, width])));
    expect(tapGraph(graph.bytesOfModel()).sites).toEqual([]);
  });
});

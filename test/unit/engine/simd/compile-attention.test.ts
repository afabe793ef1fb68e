/** Attention in the forms of several families: what the step says, and that spellings of the same thing are the same. */
import { describe, expect, test } from 'vitest';
import { compileDecoder } from '../../../../webview/engine/runtime/simd/compile/compile-graph.ts';
import type { Plan } from '../../../../webview/engine/runtime/simd/plan.ts';
import type { GraphBuilder } from '../../support/graph-builder.ts';
import { PlanReference } from '../../support/plan-reference.ts';
import { groupQuery, inlineBytes, product, type Shared, tiny, tinyDecoder } from '../../support/tiny-decoder.ts';

const { hidden, heads, kvHeads, headDim, inner, context } = tiny;

const attentionOf = ({ steps }: Plan) => steps.find((step) => step.op === 'attention')!;
const operators = ({ steps }: Plan) => steps.map(({ op }) => op);
const logits = (plan: Plan) =>
  new PlanReference(plan, inlineBytes).forward([3, 1, 4, 1, 5, 9, 2]).logits.map((row) => [...row]);

describe('GroupQueryAttention', () => {
  const cases: [string, Parameters<typeof groupQuery>[0], object][] = [
    ['plain', {}, { heads, kvHeads, headDim, scale: 1 / Math.sqrt(headDim) }],
    ['a scale', { attributes: { scale: 0.25 } }, { scale: 0.25 }],
    ['a softcap', { attributes: { softcap: 20 } }, { softcap: 20 }],
    ['a window', { attributes: { local_window_size: 6 } }, { window: 6 }],
    ['sinks', { sink: [0.5, -1, 2, 0] }, { sinks: Float32Array.of(0.5, -1, 2, 0) }],
    ['smooth softmax', { attributes: { smooth_softmax: 1 } }, { sinks: new Float32Array(heads) }],
  ];
  test.each(cases)('%s', (_, form, expected) => {
    expect(attentionOf(compileDecoder(tinyDecoder({ attention: groupQuery(form) })))).toMatchObject(expected);
  });

  test('without sinks, softcap and window has none', () => {
    const step = attentionOf(compileDecoder(tinyDecoder()));

    expect([step.sinks, step.softcap, step.window]).toEqual([undefined, undefined, undefined]);
  });

  test.each([
    ['halves', {}, false],
    ['neighbours', { rotary_interleaved: 1 }, true],
  ])('rotates %s', (_, attributes, isInterleaved) => {
    const plan = compileDecoder(tinyDecoder({ attention: groupQuery({ attributes }), rotaryDim: 4 }));
    const rotations = plan.steps.filter((step) => step.op === 'rotary');

    expect(rotations).toHaveLength(4);
    expect(rotations[0]).toMatchObject({ heads, headDim, rotaryDim: 4, isInterleaved });
    expect(rotations[1]).toMatchObject({ heads: kvHeads, headDim, rotaryDim: 4, isInterleaved });
    expect(plan.maxPositions).toBe(context);
  });

  test('packed: queries, keys and values stay in one buffer', () => {
    const step = attentionOf(compileDecoder(tinyDecoder({ attention: groupQuery({ isPacked: true }) })));
    const { buffer } = step.query;

    expect(step).toMatchObject({
      query: { buffer, offset: 0, width: 32 },
      key: { buffer, offset: 32, width: 16 },
      value: { buffer, offset: 48, width: 16 },
    });
  });
});

test('Phi-3: packed gate and up are halves of one product', () => {
  const plan = compileDecoder(
    tinyDecoder({
      attention: groupQuery({ isPacked: true }),
      rotaryDim: 4,
      mlp: (graph, x) => {
        const both = product(graph, x, hidden, 2 * inner);
        const [gate, up] = graph.nodeOf('Split', [both, graph.ints([inner, inner])], { axis: -1 }, 2);
        const silu = graph.node('Mul', [gate!, graph.node('Sigmoid', [gate!])]);
        return product(graph, graph.node('Mul', [up!, silu]), inner, hidden);
      },
    }),
  );
  const glu = plan.steps.find((step) => step.op === 'glu')!;

  expect(glu).toMatchObject({
    function: 'silu',
    gate: { offset: 0, width: inner },
    up: { offset: inner, width: inner },
  });
  expect(glu.gate.buffer).toBe(glu.up.buffer);
  expect(operators(plan)).not.toContain('binary');
});

/** GPT-NeoX packs query, key and value of each head side by side: [head, 3, dim]. */
describe('GPT-NeoX', () => {
  const neox =
    (isPacked: boolean, isDecomposed: boolean) => (graph: GraphBuilder, x: string, shared: Shared, layer: number) => {
      const read = (input: string) => layerNorm(graph, input);
      const weight = graph.numbers([hidden, kvHeads, 3, headDim]);
      const bias = graph.numbers([kvHeads, 3, headDim]);
      const [a, b] = [read(x), read(x)];
      const parts = isPacked ? packedProjections(graph, a, weight, bias) : separateProjections(graph, a, weight, bias);
      const turned = parts.slice(0, 2).map((part) => (isDecomposed ? turnByHand : turn)(graph, part, shared));
      const [attended] = graph.nodeOf(
        'Attention',
        [turned[0]!, turned[1]!, parts[2]!, mask(graph), `past.${layer}.key`, `past.${layer}.value`],
        {},
        3,
      );
      const flat = graph.node('Reshape', [
        graph.node('Transpose', [attended!], { perm: [0, 2, 1, 3] }),
        graph.ints([0, 0, -1]),
      ]);
      const attention = product(graph, flat, kvHeads * headDim, hidden);
      const mlp = product(graph, graph.node('Gelu', [product(graph, b, hidden, inner)]), inner, hidden);
      return graph.node('Add', [graph.node('Add', [mlp, attention]), x]);
    };

  const separate = compileDecoder(tinyDecoder({ rotaryDim: 4, layer: neox(false, false) }));

  test('two norms read the residual stream, one of them after the add', () => {
    const norms = separate.steps.filter((step) => step.op === 'norm');

    expect(norms[0]).toMatchObject({ kind: 'layer', bias: expect.any(Float32Array) });
    expect(norms[1]!.from).toEqual(norms[0]!.from);
    expect(norms[2]).toMatchObject({ add: expect.anything(), sum: expect.anything() });
    expect(norms[3]!.from).toEqual(norms[2]!.sum);
  });

  test.each([
    ['packed by head', true, false],
    ['a partial rotation by hand', false, true],
    ['both', true, true],
  ])('%s gives the same', (_, isPacked, isDecomposed) => {
    const plan = compileDecoder(tinyDecoder({ rotaryDim: 4, layer: neox(isPacked, isDecomposed) }), {
      contextLength: context,
    });

    expect(flatDifference(logits(plan), logits(separate))).toBeLessThan(1e-6);
  });
});

function layerNorm(graph: GraphBuilder, x: string): string {
  const inputs = [x, graph.random([hidden], 2), graph.random([hidden])];
  return graph.node('LayerNormalization', inputs, { axis: -1, epsilon: 1e-5 });
}

function heading(graph: GraphBuilder, x: string, width: number): string {
  const split = graph.node('Reshape', [x, graph.ints([0, 0, kvHeads, width])]);
  return graph.node('Transpose', [split], { perm: [0, 2, 1, 3] });
}

function packedProjections(graph: GraphBuilder, x: string, weight: Float32Array, bias: Float32Array): string[] {
  const size = kvHeads * 3 * headDim;
  const packed = graph.node('MatMul', [x, graph.floats([hidden, size], weight)]);
  const biased = graph.node('Add', [packed, graph.floats([size], bias)]);
  const sizes = graph.ints([headDim, headDim, headDim]);
  return graph.nodeOf('Split', [heading(graph, biased, 3 * headDim), sizes], { axis: -1 }, 3);
}

function separateProjections(graph: GraphBuilder, x: string, weight: Float32Array, bias: Float32Array): string[] {
  const size = kvHeads * headDim;
  return [0, 1, 2].map((part) => {
    const pick = (all: Float32Array) => [...all].filter((_, i) => Math.floor(i / headDim) % 3 === part);
    const projected = graph.node('MatMul', [x, graph.floats([hidden, size], pick(weight))]);
    return heading(graph, graph.node('Add', [projected, graph.floats([size], pick(bias))]), headDim);
  });
}

function positions(graph: GraphBuilder): string {
  const sum = graph.node('CumSum', ['attention_mask', graph.ints([1])]);
  const all = graph.node('Sub', [sum, graph.ints([1])]);
  const tokens = graph.node('Shape', ['input_ids'], { start: 1, end: 2 });
  return graph.node('Slice', [all, graph.node('Neg', [tokens]), graph.ints([2 ** 31]), graph.ints([1])]);
}

function turn(graph: GraphBuilder, x: string, { cos, sin }: Shared): string {
  return graph.node('RotaryEmbedding', [x, cos, sin, positions(graph)], { rotary_embedding_dim: 4 });
}

function turnByHand(graph: GraphBuilder, x: string, { cos, sin }: Shared): string {
  const table = (from: string) => {
    const rows = graph.node('Gather', [from, positions(graph)]);
    return graph.node('Unsqueeze', [graph.node('Concat', [rows, rows], { axis: -1 }), graph.ints([1])]);
  };
  const part = (from: number, to: number) =>
    graph.node('Slice', [x, graph.ints([from]), graph.ints([to]), graph.ints([3])]);
  const turning = part(0, 4);
  const half = (from: number, to: number) =>
    graph.node('Slice', [turning, graph.ints([from]), graph.ints([to]), graph.ints([3])]);
  const turned = graph.node('Concat', [graph.node('Neg', [half(2, 4)]), half(0, 2)], { axis: -1 });
  const sum = graph.node('Add', [graph.node('Mul', [turning, table(cos)]), graph.node('Mul', [turned, table(sin)])]);
  return graph.node('Concat', [sum, part(4, headDim)], { axis: -1 });
}

/** Lower triangle, as a bool [token, total]. */
function mask(graph: GraphBuilder): string {
  const total = graph.node('Squeeze', [graph.node('Shape', ['attention_mask'], { start: 1 })]);
  const keys = graph.node('Range', [graph.floats([], [0]), graph.node('Cast', [total], { to: 1 }), graph.float(1)]);
  const queries = graph.node('Unsqueeze', [
    graph.node('Cast', [graph.node('Squeeze', [positions(graph), graph.ints([0])])], { to: 1 }),
    graph.ints([1]),
  ]);
  return graph.node('LessOrEqual', [keys, queries]);
}

function flatDifference(a: number[][], b: number[][]): number {
  return Math.max(...a.flat().map((value, i) => Math.abs(value - b.flat()[i]!)));
}

describe('a mask', () => {
  const attended =
    (cut: (graph: GraphBuilder, total: string) => string) =>
    (graph: GraphBuilder, x: string, _: Shared, layer: number) => {
      const [q, k, v] = [0, 1, 2].map(() => product(graph, x, hidden, kvHeads * headDim));
      const visible = cut(graph, graph.node('Shape', ['attention_mask'], { start: 1 }));
      const inputs = [q!, k!, v!, visible, `past.${layer}.key`, `past.${layer}.value`];
      const [y] = graph.nodeOf('Attention', inputs, { q_num_heads: kvHeads, kv_num_heads: kvHeads }, 3);
      return product(graph, y!, kvHeads * headDim, hidden);
    };
  /** Rows and columns of a constant of `size`, as GPT-2 has it: it ends there. */
  const constant = (size: number, window: number) =>
    attended((graph, total) => {
      const at = (i: number) => {
        const [query, key] = [Math.floor(i / size), i % size];
        return key <= query && key > query - window ? 0 : -10_000;
      };
      const all = graph.floats(
        [1, 1, size, size],
        Array.from({ length: size * size }, (_, i) => at(i)),
      );
      const tokens = graph.node('Shape', ['input_ids'], { start: 1 });
      const rows = graph.node('Slice', [all, graph.node('Sub', [total, tokens]), total, graph.ints([2])]);
      return graph.node('Slice', [rows, graph.ints([0]), total, graph.ints([3])]);
    });

  test('that is a constant bounds the context', () => {
    const plan = compileDecoder(tinyDecoder({ attention: constant(23, 100) }), { contextLength: 4096 });

    expect(plan.maxPositions).toBe(23);
    expect(attentionOf(plan).window).toBeUndefined();
  });

  test('that has one position alone is none', () => {
    expect(() => compileDecoder(tinyDecoder({ attention: constant(1, 1) }))).toThrow(/its mask .* is not by query/);
  });

  test.each([1, 5, 22])('of a window of %d', (window) => {
    expect(attentionOf(compileDecoder(tinyDecoder({ attention: constant(23, window) }))).window).toBe(window);
  });
});

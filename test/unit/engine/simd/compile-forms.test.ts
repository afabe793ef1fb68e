/** Weights and activations in every spelling: the plan has what they mean. */
import { describe, expect, test } from 'vitest';
import { compileDecoder } from '../../../../webview/engine/runtime/simd/compile/compile-graph.ts';
import type { LinearWeight, Plan } from '../../../../webview/engine/runtime/simd/plan.ts';
import type { GraphBuilder } from '../../support/graph-builder.ts';
import { PlanReference } from '../../support/plan-reference.ts';
import { weightRows } from '../../support/plan-weights.ts';
import { inlineBytes, product, tiny, tinyDecoder } from '../../support/tiny-decoder.ts';

const { hidden, inner, vocab } = tiny;

describe('the head', () => {
  /** [vocab, hidden] of 8-bit numbers, and what they stand for. */
  const bytes = Uint8Array.from({ length: vocab * hidden }, (_, i) => (i * 37 + 11) % 251);
  const scales = Array.from({ length: vocab }, (_, row) => 0.01 + row / 512);
  const value = (row: number, column: number) => Math.fround((bytes[row * hidden + column]! - 100) * scales[row]!);
  const byColumns = <T>(make: (row: number, column: number) => T) =>
    Array.from({ length: hidden * vocab }, (_, i) => make(i % vocab, Math.floor(i / vocab)));
  const signed = Int8Array.from(byColumns((row, column) => bytes[row * hidden + column]! - 128));
  const byRows = Array.from(bytes, (_, i) => value(Math.floor(i / hidden), i % hidden));

  const forms: Record<string, (graph: GraphBuilder, x: string) => string> = {
    MatMul: (graph, x) => graph.node('MatMul', [x, graph.floats([hidden, vocab], byColumns(value))]),
    'MatMul with a transposed constant': (graph, x) =>
      graph.node('MatMul', [x, graph.node('Transpose', [graph.floats([vocab, hidden], byRows)], { perm: [1, 0] })]),
    'Gemm with transB': (graph, x) =>
      graph.node('Gemm', [x, graph.floats([vocab, hidden], byRows)], { transB: 1, alpha: 1 }),
    FusedMatMul: (graph, x) =>
      graph.node('com.microsoft.FusedMatMul', [x, graph.floats([vocab, hidden], byRows)], { transB: 1 }),
    'MatMul with a matrix that is computed from constants': (graph, x) => {
      const halves = graph.floats(
        [hidden, vocab],
        byColumns((row, column) => value(row, column) / 2),
      );
      return graph.node('MatMul', [x, graph.node('Add', [halves, halves])]);
    },
    DequantizeLinear: (graph, x) => {
      const zeroPoints = graph.bytes([vocab], new Int8Array(vocab).fill(-28));
      const parts = [graph.bytes([hidden, vocab], signed), graph.floats([vocab], scales), zeroPoints];
      return graph.node('MatMul', [x, graph.node('DequantizeLinear', parts, { axis: 1 })]);
    },
    MatMulInteger: (graph, x) => {
      const [q, scale, zero] = graph.nodeOf('DynamicQuantizeLinear', [x], {}, 3);
      const zeroPoints = graph.bytes([vocab], new Int8Array(vocab).fill(-28));
      const sum = graph.node('MatMulInteger', [q!, graph.bytes([hidden, vocab], signed), zero!, zeroPoints]);
      const both = graph.node('Mul', [scale!, graph.floats([vocab], scales)]);
      return graph.node('Mul', [graph.node('Cast', [sum], { to: 1 }), both]);
    },
    DynamicQuantizeMatMul: (graph, x) => {
      const zeroPoints = graph.bytes([vocab], new Int8Array(vocab).fill(-28));
      const parts = [x, graph.bytes([hidden, vocab], signed), graph.floats([vocab], scales), zeroPoints];
      return graph.node('com.microsoft.DynamicQuantizeMatMul', parts);
    },
    'MatMulNBits of 8 bits': (graph, x) => {
      const parts = [x, graph.bytes([vocab, 1, hidden], bytes), graph.floats([vocab], scales)];
      const zeroPoints = graph.bytes([vocab], new Uint8Array(vocab).fill(100));
      const sizes = { K: hidden, N: vocab, bits: 8, block_size: 16 };
      return graph.node('com.microsoft.MatMulNBits', [...parts, zeroPoints], sizes);
    },
  };

  test.each(Object.keys(forms))('%s', (name) => {
    const plan = compileDecoder(tinyDecoder({ head: forms[name]! }));
    const last = plan.steps.at(-1)!;

    if (last.op !== 'linear') throw new Error(`The last step is ${last.op}.`);
    expect([last.weight.rows, last.weight.columns]).toEqual([vocab, hidden]);
    expect(last.bias).toBeUndefined();
    for (const [row, numbers] of rowsOf(last.weight).entries())
      for (const [column, number] of numbers.entries()) expect(number).toBeCloseTo(value(row, column), 5);
  });

  test('with a bias and a softcap', () => {
    const plan = compileDecoder(
      tinyDecoder({
        head: (graph, x) => {
          const biased = graph.node('Add', [graph.random([vocab]), product(graph, x, hidden, vocab)]);
          const tanh = graph.node('Tanh', [graph.node('Div', [biased, graph.float(30)])]);
          return graph.node('Mul', [tanh, graph.float(30)]);
        },
      }),
    );

    expect(plan.steps.slice(-4)).toMatchObject([
      { op: 'linear', bias: { length: vocab } },
      { op: 'binary', function: 'multiply', right: 1 / 30 },
      { op: 'unary', function: 'tanh' },
      { op: 'binary', function: 'multiply', right: 30 },
    ]);
  });

  test('of the last token alone is left to the plan', () => {
    const all = compileDecoder(tinyDecoder());
    const last = compileDecoder(
      tinyDecoder({
        head: (graph, x) => {
          const ends = [graph.ints([-1]), graph.ints([2 ** 31]), graph.ints([1])];
          return product(graph, graph.node('Slice', [x, ...ends]), hidden, vocab);
        },
      }),
    );

    expect(last.steps.map(({ op }) => op)).toEqual(all.steps.map(({ op }) => op));
  });
});

describe('the embedding', () => {
  test('of 4-bit blocks', () => {
    const wide = 16;
    const plan = compileDecoder(
      tinyDecoder({
        embed: (graph) => {
          const table = graph.bytes([vocab, wide / 2], new Uint8Array((vocab * wide) / 2).fill(0x9a));
          const inputs = [table, 'input_ids', graph.floats([vocab, 1], new Array(vocab).fill(0.5))];
          return graph.node('com.microsoft.GatherBlockQuantized', inputs, {
            bits: 4,
            block_size: 16,
            quantize_axis: 1,
          });
        },
      }),
    );

    expect(plan.steps[0]).toMatchObject({
      op: 'embed',
      by: 'token',
      table: { kind: 'blocks', bits: 4, blockSize: 16, rows: vocab, columns: wide, zeroPoints: 8 },
    });
  });

  test('of bytes with one scale', () => {
    const plan = compileDecoder(
      tinyDecoder({
        embed: (graph) => {
          const rows = graph.node('Gather', [graph.bytes([vocab, hidden], new Int8Array(vocab * hidden)), 'input_ids']);
          return graph.node('DequantizeLinear', [rows, graph.float(0.5), graph.bytes([], Int8Array.of(3))]);
        },
      }),
    );

    expect(plan.steps[0]).toMatchObject({
      op: 'embed',
      table: { kind: 'channels', rows: vocab, scales: Float32Array.of(0.5), zeroPoints: Float32Array.of(3) },
    });
  });
});

describe('an activation', () => {
  const number = (graph: GraphBuilder, value: number) => graph.float(value);
  const half = (graph: GraphBuilder, x: string, y: string) =>
    graph.node('Mul', [graph.node('Mul', [x, y]), number(graph, 0.5)]);
  const spellings: [string, string, (graph: GraphBuilder, x: string) => string][] = [
    ['silu', 'x * sigmoid(x)', (graph, x) => graph.node('Mul', [x, graph.node('Sigmoid', [x])])],
    [
      'silu',
      'x / (1 + exp(-x))',
      (graph, x) =>
        graph.node('Div', [x, graph.node('Add', [graph.node('Exp', [graph.node('Neg', [x])]), number(graph, 1)])]),
    ],
    [
      'gelu',
      'with erf',
      (graph, x) => {
        const erf = graph.node('Erf', [graph.node('Div', [x, number(graph, Math.SQRT2)])]);
        return half(graph, x, graph.node('Add', [erf, number(graph, 1)]));
      },
    ],
    [
      'gelu-tanh',
      'with tanh and a power',
      (graph, x) => {
        const cube = graph.node('Mul', [graph.node('Pow', [x, number(graph, 3)]), number(graph, 0.044715)]);
        const inside = graph.node('Mul', [graph.node('Add', [x, cube]), number(graph, 0.7978845608)]);
        return half(graph, x, graph.node('Add', [graph.node('Tanh', [inside]), number(graph, 1)]));
      },
    ],
    [
      'gelu-quick',
      'x * sigmoid(1.702 x)',
      (graph, x) => graph.node('Mul', [x, graph.node('Sigmoid', [graph.node('Mul', [x, number(graph, 1.702)])])]),
    ],
    ['gelu-quick', 'QuickGelu', (graph, x) => graph.node('com.microsoft.QuickGelu', [x])],
    ['gelu', 'Gelu', (graph, x) => graph.node('Gelu', [x])],
    ['gelu-tanh', 'Gelu, approximately', (graph, x) => graph.node('Gelu', [x], { approximate: 'tanh' })],
    [
      'gelu-tanh',
      'FastGelu with a bias',
      (graph, x) => graph.node('com.microsoft.FastGelu', [x, graph.random([inner])]),
    ],
    ['gelu', 'BiasGelu', (graph, x) => graph.node('com.microsoft.BiasGelu', [x, graph.random([inner])])],
    ['relu', 'Relu', (graph, x) => graph.node('Relu', [x])],
  ];

  test.each(spellings)('%s: %s', (name, _, spell) => {
    const mlp = (graph: GraphBuilder, x: string) =>
      product(graph, spell(graph, product(graph, x, hidden, inner)), inner, hidden);
    const plan = compileDecoder(tinyDecoder({ mlp }));

    expect(between(plan)).toMatchObject([{ op: 'unary', function: name }]);
  });

  test('squared relu is a relu and its product with itself', () => {
    const mlp = (graph: GraphBuilder, x: string) => {
      const relu = graph.node('Relu', [product(graph, x, hidden, inner)]);
      return product(graph, graph.node('Pow', [relu, graph.float(2)]), inner, hidden);
    };
    const plan = compileDecoder(tinyDecoder({ mlp }));
    const [relu, square] = between(plan);

    expect(relu).toMatchObject({ op: 'unary', function: 'relu' });
    if (relu?.op !== 'unary') throw new Error('No relu.');
    expect(square).toMatchObject({ op: 'binary', function: 'multiply', left: relu.to, right: relu.to });
  });
});

describe('a norm of plain operators', () => {
  const rms = (graph: GraphBuilder, x: string, root: (y: string) => string) => {
    const mean = graph.node('ReduceMean', [graph.node('Pow', [x, graph.float(2)]), graph.ints([-1])], { keepdims: 1 });
    const y = root(graph.node('Add', [mean, graph.float(1e-5)]));
    return graph.node('Mul', [graph.random([hidden]), graph.node('Mul', [x, y])]);
  };
  const forms: Record<string, (graph: GraphBuilder, x: string) => string> = {
    'rms, reciprocal': (graph, x) => rms(graph, x, (y) => graph.node('Reciprocal', [graph.node('Sqrt', [y])])),
    'rms, one divided': (graph, x) =>
      rms(graph, x, (y) => graph.node('Div', [graph.float(1), graph.node('Sqrt', [y])])),
    'rms, power': (graph, x) => rms(graph, x, (y) => graph.node('Pow', [y, graph.float(-0.5)])),
    layer: (graph, x) => {
      const mean = (y: string) => graph.node('ReduceMean', [y, graph.ints([-1])], { keepdims: 1 });
      const centred = graph.node('Sub', [x, mean(x)]);
      const variance = mean(graph.node('Pow', [centred, graph.float(2)]));
      const deviation = graph.node('Sqrt', [graph.node('Add', [variance, graph.float(1e-5)])]);
      const scaled = graph.node('Mul', [graph.node('Div', [centred, deviation]), graph.random([hidden])]);
      return graph.node('Add', [scaled, graph.random([hidden])]);
    },
  };

  test.each(Object.keys(forms))('%s', (name) => {
    const kind = name === 'layer' ? 'layer' : 'rms';
    const head = (graph: GraphBuilder, x: string) => product(graph, forms[name]!(graph, x), hidden, vocab);
    const norm = compileDecoder(tinyDecoder({ head })).steps.at(-2);

    expect(norm).toMatchObject({ op: 'norm', kind, groups: 1, weight: { length: hidden } });
    expect(norm).toHaveProperty('epsilon', Math.fround(1e-5));
    expect('bias' in norm!).toBe(kind === 'layer');
  });
});

test('a plan gives the same, however its tokens are split', () => {
  const plan = compileDecoder(tinyDecoder());
  const whole = new PlanReference(plan, inlineBytes).forward([7, 2, 9, 4]).logits;
  const split = new PlanReference(plan, inlineBytes);

  expect([...split.forward([7]).logits, ...split.forward([2, 9, 4]).logits]).toEqual(whole);
});

/** The steps of the first layer between the two products of its MLP. */
function between({ steps }: Plan): Plan['steps'] {
  const attention = steps.findIndex(({ op }) => op === 'attention');
  const linears = steps.flatMap(({ op }, index) => (op === 'linear' && index > attention ? [index] : []));
  return steps.slice(linears[1]! + 1, linears[2]);
}

function rowsOf(weight: LinearWeight): Float64Array[] {
  const row = weightRows(weight, inlineBytes);
  return Array.from({ length: weight.rows }, (_, i) => row(i));
}

/** What cannot be compiled is refused with the reason: unknown operators for another runtime, broken graphs for nobody. */
import { create } from '@bufbuild/protobuf';
import { describe, expect, test } from 'vitest';
import { AppError } from '../../../../src/shared/app-error.ts';
import { StringStringEntryProtoSchema, TensorProto_DataLocation } from '../../../../webview/engine/graph/onnx_pb.js';
import type { OnnxModel } from '../../../../webview/engine/graph/onnx-model.ts';
import { compileDecoder } from '../../../../webview/engine/runtime/simd/compile/compile-graph.ts';
import type { GraphBuilder } from '../../support/graph-builder.ts';
import { groupQuery, product, type Shared, type TinyParts, tiny, tinyDecoder } from '../../support/tiny-decoder.ts';

const { hidden, heads, kvHeads, headDim, inner, vocab } = tiny;

function refusal(model: OnnxModel): AppError {
  try {
    compileDecoder(model);
  } catch (thrown) {
    if (thrown instanceof AppError) return thrown;
    throw thrown;
  }
  throw new Error('It was compiled.');
}

const withMlp = (spell: (graph: GraphBuilder, x: string) => string): TinyParts => ({
  mlp: (graph, x) => product(graph, spell(graph, product(graph, x, hidden, inner)), inner, hidden),
});

const attended =
  (mask: (graph: GraphBuilder, total: string) => string) =>
  (graph: GraphBuilder, x: string, _: Shared, layer: number) => {
    const [q, k, v] = [0, 1, 2].map(() => product(graph, x, hidden, kvHeads * headDim));
    const total = graph.node('Shape', ['attention_mask'], { start: 1 });
    const inputs = [q!, k!, v!, mask(graph, total), `past.${layer}.key`, `past.${layer}.value`];
    const [y] = graph.nodeOf('Attention', inputs, { q_num_heads: kvHeads, kv_num_heads: kvHeads }, 3);
    return product(graph, y!, kvHeads * headDim, hidden);
  };

describe('for another runtime', () => {
  const cases: [string, TinyParts, RegExp][] = [
    ['an operator', withMlp((graph, x) => graph.node('Softplus', [x])), /Softplus \(n\d+\) is not known/],
    [
      'an operator of a domain',
      withMlp((graph, x) => graph.node('com.microsoft.MoE', [x])),
      /com\.microsoft\.MoE \(n\d+\)/,
    ],
    ['a function of every number', withMlp((graph, x) => graph.node('Exp', [x])), /MatMul \(n\d+\): it needs Exp/],
    ['a name that objects have', withMlp((graph, x) => graph.node('toString', [x])), /toString \(n\d+\) is not known/],
    [
      'a square of squares',
      withMlp((graph, x) => Array.from({ length: 60 }).reduce((y: string) => graph.node('Mul', [y, y]), x)),
      /operators of every number/,
    ],
    ['If', { embed: (graph) => graph.node('If', [graph.ints([1])]) }, /If \(n\d+\) is not known/],
    ['ALiBi', { attention: attended((graph) => graph.floats([1, kvHeads, 1, 1], [-0.5, -0.25])) }, /its mask/],
    ['no mask', { attention: attended(() => '') }, /Attention \(n\d+\) lets tokens see later ones/],
    [
      'a mask of everything',
      { attention: attended((graph, total) => graph.node('Expand', [graph.float(0), total])) },
      /neither causal nor a window/,
    ],
    [
      'a shared cache of quantised numbers',
      {
        attention: (graph, x, { lengths, cos, sin }, layer) => {
          const inputs = [product(graph, x, hidden, 64), '', '', `past.${layer}.key`, `past.${layer}.value`];
          const all = [...inputs, ...lengths, cos, sin, '', '', '', graph.float(1)];
          return graph.node('com.microsoft.GroupQueryAttention', all, { num_heads: heads, kv_num_heads: kvHeads });
        },
      },
      /GroupQueryAttention \(n\d+\): a quantised cache/,
    ],
    [
      'statistics of a norm that are read',
      withMlp((graph, x) => {
        const inputs = [x, graph.random([inner])];
        const [y, mean] = graph.nodeOf('LayerNormalization', inputs, { axis: -1 }, 3);
        return graph.node('Add', [y!, mean!]);
      }),
      /reads n\d+_LayerNormalization_1, an output that is not known/,
    ],
    [
      'an embedding that is smaller than the vocabulary',
      { embed: (graph) => graph.node('Gather', [graph.random([vocab - 1, hidden]), 'input_ids']) },
      /its embedding has 19 rows for a vocabulary of 20/,
    ],
    ['no attention', { attention: (_, x) => x }, /no attention with a key\/value cache/],
    [
      'a rotation behind the cache',
      {
        attention: (graph, x, { cos, sin }, layer) => {
          const rows = graph.node('Reshape', [
            product(graph, x, hidden, kvHeads * headDim),
            graph.ints([0, 0, kvHeads, headDim]),
          ]);
          const added = graph.node('Transpose', [rows], { perm: [0, 2, 1, 3] });
          const all = graph.node('Concat', [`past.${layer}.key`, added], { axis: 2 });
          return graph.node('RotaryEmbedding', [all, cos, sin]);
        },
      },
      /RotaryEmbedding \(n\d+\)/,
    ],
  ];
  test.each(cases)('%s', (_, parts, message) => {
    const { code, message: text } = refusal(tinyDecoder(parts));

    expect(text).toMatch(message);
    expect(code).toBe('model-unsupported');
  });

  test('an input that is not known', () => {
    const model = tinyDecoder();
    model.graph.input.find(({ name }) => name === 'attention_mask')!.name = 'use_cache_branch';
    for (const node of model.graph.node)
      node.input.forEach((name, i) => {
        if (name === 'attention_mask') node.input[i] = 'use_cache_branch';
      });

    expect(refusal(model)).toMatchObject({
      code: 'model-unsupported',
      message: expect.stringContaining('use_cache_branch'),
    });
  });
});

describe('for nobody', () => {
  const change = (edit: (model: OnnxModel) => void, parts: TinyParts = {}) => {
    const model = tinyDecoder(parts);
    edit(model);
    return model;
  };
  const first = ({ graph }: OnnxModel, type: string) => graph.node.find(({ opType }) => opType === type)!;
  const matMulBits = (sizes: Record<string, number>): TinyParts => ({
    head: (graph, x) => {
      const parts = [x, graph.bytes([vocab, 1, 8], new Uint8Array(vocab * 8)), graph.random([vocab, 1])];
      return graph.node('com.microsoft.MatMulNBits', parts, { K: hidden, N: vocab, block_size: 16, ...sizes });
    },
  });
  const cases: [string, () => OnnxModel, RegExp][] = [
    [
      'a tensor that is missing',
      () => change((model) => model.graph.initializer.splice(6, 1)),
      /reads c\d+, which nothing computes/,
    ],
    [
      'a circle',
      () => change((model) => (first(model, 'Gather').input[1] = first(model, 'Sigmoid').output[0]!)),
      /reads, over others, what it computes/,
    ],
    [
      'two that compute one tensor',
      () => change((model) => (first(model, 'Sigmoid').output[0] = first(model, 'Gather').output[0]!)),
      /which another one computes/,
    ],
    [
      'weights of the wrong shape',
      () => tinyDecoder({ head: (graph, x) => product(graph, x, hidden + 1, vocab) }),
      /rows of 16 numbers with a matrix of 17 columns/,
    ],
    [
      'blocks of the wrong number',
      () => tinyDecoder(matMulBits({ K: 32 })),
      /the tensor c\d+ has the shape \[20, 1, 8\], not \[20, 2, 8\]/,
    ],
    ['a vocabulary out of range', () => tinyDecoder(matMulBits({ N: 0 })), /a matrix of 0 x 16 numbers/],
    [
      'constants that are cut',
      () => change((model) => (model.graph.initializer.at(-1)!.rawData = new Uint8Array(7))),
      /the constant c\d+ has 7 bytes, its shape \[16, 20\] needs 1280/,
    ],
    [
      'heads that do not fit',
      () => tinyDecoder({ attention: groupQuery({ attributes: { num_heads: 3 } }) }),
      /3 heads of 8/,
    ],
    [
      'packed rows that are too narrow',
      () =>
        tinyDecoder({
          attention: (graph, x, { lengths, cos, sin }, layer) => {
            const packed = product(graph, x, hidden, (heads + 2 * kvHeads) * headDim - 1);
            const inputs = [packed, '', '', `past.${layer}.key`, `past.${layer}.value`, ...lengths, cos, sin];
            const all = { num_heads: heads, kv_num_heads: kvHeads };
            const [y] = graph.nodeOf('com.microsoft.GroupQueryAttention', inputs, all, 3);
            return product(graph, y!, heads * headDim, hidden);
          },
        }),
      /GroupQueryAttention \(n\d+\) has rows of 63 numbers for queries, keys and values of 64/,
    ],
    [
      'a norm weight that is not finite',
      () =>
        tinyDecoder({
          norm: (graph, x) => {
            const weight = graph.floats([hidden], new Float32Array(hidden).fill(Number.NaN, 3, 4));
            return graph.node('RMSNormalization', [x, weight], { axis: -1 });
          },
        }),
      /RMSNormalization \(n\d+\) has a vector \(c\d+\) of numbers that are not all finite/,
    ],
    [
      'a norm weight in a file that is not there',
      () =>
        change(({ graph }) => {
          const tensor = graph.initializer.find(({ dims }) => dims.join() === String(hidden))!;
          tensor.dataLocation = TensorProto_DataLocation.EXTERNAL;
          tensor.externalData = [create(StringStringEntryProtoSchema, { key: 'location', value: 'weights.bin' })];
        }),
      /the file weights\.bin with the constant c\d+ is missing/,
    ],
    ['scales that are not finite', () => tinyDecoder({ head: channelHead }), /the scales of c\d+ are not all finite/],
  ];
  test.each(cases)('%s', (_, model, message) => {
    const { code, message: text } = refusal(model());

    expect(text).toMatch(message);
    expect(code).toBe('model-damaged');
  });

  function channelHead(graph: GraphBuilder, x: string): string {
    const parts = [graph.bytes([hidden, vocab], new Int8Array(hidden * vocab)), graph.floats([1], [Number.NaN])];
    return graph.node('MatMul', [x, graph.node('DequantizeLinear', parts)]);
  }
});

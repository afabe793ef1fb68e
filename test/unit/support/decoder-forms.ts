/** Tiny decoders, each with one part written in another way. */
import {
  groupQueryOf,
  hiding,
  multiHead,
  onnxAttention,
  packedAttention,
  positions,
  turnFrom,
  turnHeads,
  turnOnnx,
  turnRows,
  visible,
} from './attention-spellings.ts';
import { byteTable, plainBlockTable } from './embedding-spellings.ts';
import {
  activations,
  biased,
  gatedMlp,
  layerNorm,
  plainLayerNorm,
  plainMlp,
  plainRmsNorm,
  simplifiedNorm,
  skipNorm,
} from './layer-spellings.ts';
import {
  dequantised,
  floatHalves,
  fused,
  gemm,
  matMulBits,
  type Product,
  transposed,
  twiceScaled,
} from './product-spellings.ts';
import { groupQuery, type TinyParts, tiny } from './tiny-decoder.ts';

const { hidden, inner } = tiny;

const sameHeads = { heads: 2, kvHeads: 2, headDim: 8 };
const odd = { vocab: 37, hidden: 20, heads: 3, kvHeads: 1, headDim: 6, inner: 29 };

export const attentions: Record<string, TinyParts> = {
  'Q, K and V packed': { attention: groupQuery({ isPacked: true }) },
  'a scale': { attention: groupQuery({ attributes: { scale: 0.7 } }) },
  'a softcap': { attention: groupQuery({ attributes: { softcap: 2 } }) },
  'a window of 1': { attention: groupQuery({ attributes: { local_window_size: 1 } }) },
  'a window of 4': { attention: groupQuery({ attributes: { local_window_size: 4 } }) },
  sinks: { attention: groupQuery({ sink: [0.5, -1, 2, 0] }) },
  'sinks, a softcap and a window': {
    attention: groupQuery({ sink: [0.5, -1, 2, 0], attributes: { softcap: 3, local_window_size: 5 } }),
  },
  'smooth softmax': { attention: groupQuery({ attributes: { smooth_softmax: 1 } }) },
  'neighbours that turn': { attention: groupQuery({ attributes: { rotary_interleaved: 1 } }) },
  'a part that turns': { sizes: { headDim: 32 }, attention: groupQuery(), rotaryDim: 16 },
  'neighbours of a part that turn': {
    sizes: { headDim: 32 },
    attention: groupQuery({ attributes: { rotary_interleaved: 1 } }),
    rotaryDim: 16,
  },
  'no rotation': { attention: groupQuery({ attributes: { do_rotary: 0 } }) },
  'one head of keys': { sizes: { kvHeads: 1 } },
  'as many heads of keys': { sizes: { kvHeads: 4 } },
  'a bias of scores that is a mask': { attention: groupQueryOf({}, {}, (graph) => ['', '', '', hiding(graph, 3)]) },
  'sizes that no vector fits': {
    sizes: odd,
    attention: onnxAttention({ mask: visible, hasHeadNorms: true, turn: turnOnnx() }),
  },
  'sizes that no vector fits, with MultiHeadAttention': {
    sizes: { ...odd, kvHeads: odd.heads },
    attention: multiHead({ hasBias: true, turn: turnRows() }),
  },
  'positions as an input': {
    attention: groupQueryOf({}, { do_rotary: 1 }, (graph, { cos, sin }) => [cos, sin, positions(graph)]),
  },
  'rotation before, from an offset': { attention: groupQueryOf({ turn: turnFrom }) },
  'rotation before, of rows': { attention: groupQueryOf({ turn: turnRows() }) },
  'rotation before, of neighbours': { attention: groupQueryOf({ turn: turnRows({ interleaved: 1 }) }) },
  'rotation before, of a part': {
    attention: groupQueryOf({ turn: turnRows({ rotary_embedding_dim: 4 }) }),
    rotaryDim: 4,
  },
  'rotation before, of heads': { attention: groupQueryOf({ turn: turnHeads('com.microsoft.') }) },
  'ONNX rotation, of rows': { attention: groupQueryOf({ turn: turnOnnx() }) },
  'ONNX rotation, of neighbours': { attention: groupQueryOf({ turn: turnOnnx({ interleaved: 1 }) }) },
  'ONNX rotation, of a part': {
    attention: groupQueryOf({ turn: turnOnnx({ rotary_embedding_dim: 4 }) }),
    rotaryDim: 4,
  },
  'ONNX rotation, of heads': { attention: groupQueryOf({ turn: turnHeads('') }) },
  MultiHeadAttention: { sizes: sameHeads, attention: multiHead() },
  'MultiHeadAttention with its bias': { sizes: sameHeads, attention: multiHead({ hasOwnBias: true }) },
  'MultiHeadAttention with a scale': { sizes: sameHeads, attention: multiHead({ attributes: { scale: 0.7 } }) },
  'MultiHeadAttention with a mask': { sizes: sameHeads, attention: multiHead({ mask: (graph) => hiding(graph) }) },
  'MultiHeadAttention with a window': { sizes: sameHeads, attention: multiHead({ mask: (graph) => hiding(graph, 3) }) },
  'GPT-2’s Attention': { sizes: sameHeads, isPaired: true, attention: packedAttention() },
  'GPT-2’s Attention with a scale': { sizes: sameHeads, isPaired: true, attention: packedAttention({ scale: 0.7 }) },
  'ONNX Attention': { attention: onnxAttention({ mask: visible }) },
  'ONNX Attention, added mask': { attention: onnxAttention({ mask: hiding }) },
  'ONNX Attention, causal by itself': { attention: onnxAttention() },
  'ONNX Attention, window': { attention: onnxAttention({ mask: (graph) => visible(graph, 4) }) },
  'ONNX Attention, softcap and scale': {
    attention: onnxAttention({ mask: visible, attributes: { softcap: 2, scale: 0.7 } }),
  },
  'ONNX Attention, by head': { attention: onnxAttention({ mask: visible, isByHead: true }) },
  'ONNX Attention, rotated by head': {
    attention: onnxAttention({ mask: visible, turn: turnHeads(''), hasHeadNorms: true }),
  },
};

/** Of all matrices of the MLP and the head. */
export const multiplied = (times: Product, sizes: TinyParts['sizes'] = {}): TinyParts => ({
  sizes,
  mlp: gatedMlp(activations.silu!, times),
  head: (graph, x) => times(graph, x, sizes.hidden ?? hidden, sizes.vocab ?? tiny.vocab),
});

export const wide = { vocab: 37, hidden: 144, inner: 272 };
const blocks = ([16, 32, 64, 128] as const).flatMap((blockSize) =>
  ([undefined, 'bytes', 'floats'] as const).map((zeroPoints) => ({ blockSize, ...(zeroPoints && { zeroPoints }) })),
);

export const products: Record<string, TinyParts> = {
  ...Object.fromEntries(
    blocks.map((form) => [
      `4 bits, blocks of ${form.blockSize}, ${form.zeroPoints ?? 'no'} zero points`,
      multiplied(matMulBits(form), wide),
    ]),
  ),
  '4 bits with a bias': multiplied(matMulBits({ blockSize: 32, hasBias: true }), wide),
  '4 bits with zero points and a bias': multiplied(
    matMulBits({ blockSize: 32, zeroPoints: 'bytes', hasBias: true }),
    wide,
  ),
  '8 bits': multiplied(matMulBits({ bits: 8, blockSize: 32 }), wide),
  '8 bits with zero points': multiplied(matMulBits({ bits: 8, blockSize: 64, zeroPoints: 'bytes' }), wide),
  '8 bits, blocks of 16': multiplied(matMulBits({ bits: 8, blockSize: 16 }), wide),
  'blocks that no row fills': multiplied(matMulBits({ blockSize: 32, zeroPoints: 'bytes' }), { ...odd, headDim: 16 }),
  'float16 with a cast': multiplied(floatHalves),
  'a transposed constant': multiplied(transposed),
  'FusedMatMul with a factor': multiplied(fused),
  Gemm: multiplied(gemm(false)),
  'Gemm of a transposed matrix': multiplied(gemm(true)),
  'bytes with one scale': multiplied(dequantised({})),
  'bytes with scales': multiplied(dequantised({ isByChannel: true })),
  'bytes with two scales': multiplied(twiceScaled),
  'signed bytes with scales': multiplied(dequantised({ isByChannel: true, isSigned: true })),
};

export const embeddings: Record<string, TinyParts> = {
  'bytes with one scale': { embed: byteTable(hidden, false) },
  'signed bytes with one scale': { embed: byteTable(hidden, true) },
  'bytes with a scale for each block': { sizes: { hidden: 64 }, embed: plainBlockTable(64, 32) },
  float16: {
    embed: (graph) => {
      const rows = graph.halves([tiny.vocab, hidden], graph.numbers([tiny.vocab, hidden], 2));
      return graph.node('Gather', [graph.node('Cast', [rows], { to: 1 }), 'input_ids']);
    },
  },
};

const skipped = (kind: 'Simplified' | '', hasBias: boolean): TinyParts => ({
  layer: (graph, x, shared, layer) => {
    const attended = groupQuery()(graph, layerNorm(hidden)(graph, x), shared, layer);
    const { norm, sum } = skipNorm(graph, kind, [x, attended], { width: hidden, hasBias });
    return graph.node('Add', [gatedMlp(activations.silu!)(graph, norm, shared, layer), sum]);
  },
});

/** As exporters declare the statistics between, though nothing reads them. */
const declared = (kind: 'Simplified' | ''): TinyParts => ({
  norm: (graph, x) => {
    const { norm } = skipNorm(graph, kind, [x, x], { width: hidden });
    const { output } = graph.nodes.at(-1)!;
    for (const position of [1, 2]) output[position] = `${norm}_${position}`;
    return norm;
  },
});

export const norms: Record<string, TinyParts> = {
  'SkipSimplifiedLayerNormalization with all outputs': declared('Simplified'),
  'SkipLayerNormalization with all outputs': declared(''),
  LayerNormalization: { norm: layerNorm(hidden) },
  'LayerNormalization without a bias': { norm: layerNorm(hidden, false) },
  SimplifiedLayerNormalization: { norm: simplifiedNorm(hidden) },
  'rms of plain operators': { norm: plainRmsNorm(hidden) },
  'layer norm of plain operators': { norm: plainLayerNorm(hidden) },
  SkipSimplifiedLayerNormalization: skipped('Simplified', false),
  'SkipSimplifiedLayerNormalization with a bias': skipped('Simplified', true),
  SkipLayerNormalization: skipped('', false),
  'SkipLayerNormalization with a bias': skipped('', true),
};

export const functions: Record<string, TinyParts> = Object.fromEntries([
  ...Object.entries(activations).map(([name, activation]) => [name, { mlp: plainMlp(activation) }]),
  ...(['BiasGelu', 'FastGelu'] as const).map((type) => [`${type} with a bias`, { mlp: plainMlp(biased(type, inner)) }]),
]);

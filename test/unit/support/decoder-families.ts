/** Tiny decoders with the parts and the wiring of model families. */
import {
  groupQueryOf,
  hiding,
  multiHead,
  onnxAttention,
  packedAttention,
  positions,
  turnRows,
} from './attention-spellings.ts';
import type { GraphBuilder } from './graph-builder.ts';
import {
  activations,
  gatedMlp,
  layerNorm,
  packedMlp,
  plainMlp,
  plainRmsNorm,
  sandwiched,
  simplifiedNorm,
  skipNorm,
} from './layer-spellings.ts';
import { gemm, matMulBits } from './product-spellings.ts';
import { groupQuery, type Part, type Shared, type TinyParts, tiny } from './tiny-decoder.ts';

const { hidden, vocab, context } = tiny;

const tables = (_: GraphBuilder, { cos, sin }: Shared) => [cos, sin];

/** Tables of another base than the graph's own: Gemma 3's layers with a window have theirs. */
function otherTables(graph: GraphBuilder, { sizes: { headDim } }: Shared): string[] {
  const half = headDim / 2;
  const angles = Array.from({ length: context * half }, (_, i) => Math.floor(i / half) / 5 ** ((i % half) / half));
  return [Math.cos, Math.sin].map((of) => graph.floats([context, half], angles.map(of)));
}

function softcapped(graph: GraphBuilder, x: string, cap: number): string {
  const inside = graph.node('Tanh', [graph.node('Div', [x, graph.float(cap)])]);
  return graph.node('Mul', [inside, graph.float(cap)]);
}

/** The embedding times the root of its width, and the head with the embedding's own matrix. */
function tiedAndScaled(cap?: number): Pick<TinyParts, 'embed' | 'head'> {
  let table = '';
  return {
    embed: (graph) => {
      table = graph.random([vocab, hidden], 2);
      return graph.node('Mul', [graph.node('Gather', [table, 'input_ids']), graph.float(Math.sqrt(hidden))]);
    },
    head: (graph, x) => {
      const logits = graph.node('MatMul', [x, graph.node('Transpose', [table], { perm: [1, 0] })]);
      return cap ? softcapped(graph, logits, cap) : logits;
    },
  };
}

const gemma2Attention: Part = (graph, x, shared, layer) =>
  groupQueryOf({}, { do_rotary: 1, softcap: 5, scale: 0.3, ...(layer === 0 && { local_window_size: 4 }) }, tables)(
    graph,
    x,
    shared,
    layer,
  );

const gemma3Attention: Part = (graph, x, shared, layer) =>
  groupQueryOf(
    { hasHeadNorms: true },
    { do_rotary: 1, scale: 0.3, ...(layer === 0 && { local_window_size: 5 }) },
    layer === 0 ? otherTables : tables,
  )(graph, x, shared, layer);

const skipping: Part = (graph, x, shared, layer) => {
  const attended = groupQuery()(graph, simplifiedNorm(hidden)(graph, x), shared, layer);
  const { norm, sum } = skipNorm(graph, 'Simplified', [x, attended], { width: hidden });
  return graph.node('Add', [sum, gatedMlp(activations.silu!)(graph, norm, shared, layer)]);
};

const gpt2Attention = packedAttention();

/** Norms fused with the adds before them, as ONNX Runtime's optimiser leaves GPT-2. */
const gpt2Layer: Part = (graph, x, shared, layer) => {
  const attended = gpt2Attention(graph, layerNorm(hidden)(graph, x), shared, layer);
  const { norm, sum } = skipNorm(graph, '', [x, attended], { width: hidden, hasBias: true });
  return graph.node('Add', [sum, plainMlp(activations.FastGelu!, gemm(false))(graph, norm, shared, layer)]);
};

const withPositions = (spell: (graph: GraphBuilder) => string) => (graph: GraphBuilder) => {
  const rows = graph.node('Gather', [graph.random([context, hidden]), spell(graph)]);
  return graph.node('Add', [graph.node('Gather', [graph.random([vocab, hidden], 2), 'input_ids']), rows]);
};

/** Attention and MLP read the same residual stream, each through a norm of its own. */
function parallel(attention: Part): Part {
  return (graph, x, shared, layer) => {
    const attended = attention(graph, layerNorm(hidden)(graph, x), shared, layer);
    const mlp = plainMlp(activations.Gelu!)(graph, layerNorm(hidden)(graph, x), shared, layer);
    return graph.node('Add', [graph.node('Add', [mlp, attended]), x]);
  };
}

const sameHeads = { heads: 2, kvHeads: 2, headDim: 8 };

export const families: Record<string, TinyParts> = {
  Llama: { norm: simplifiedNorm(hidden) },
  'Llama with fused adds': { layer: skipping, norm: simplifiedNorm(hidden) },
  'Llama of plain operators': { norm: plainRmsNorm(hidden) },
  'Llama with positions as an input': {
    attention: groupQueryOf({
      turn: (graph, x, heads, { cos, sin }) => {
        const given = graph.input('position_ids', 'int', ['batch', 'tokens']);
        return graph.node('com.microsoft.RotaryEmbedding', [x, given, cos, sin], { num_heads: heads });
      },
    }),
  },
  Qwen2: {
    attention: groupQueryOf({ hasBias: true }, { do_rotary: 1 }, tables),
    mlp: gatedMlp(activations.silu!, matMulBits({ blockSize: 16 })),
  },
  Qwen3: { attention: groupQueryOf({ hasHeadNorms: true }, { do_rotary: 1 }, tables) },
  'Gemma 2': {
    attention: sandwiched(gemma2Attention),
    mlp: sandwiched(gatedMlp(activations['Gelu with tanh']!)),
    ...tiedAndScaled(6),
  },
  'Gemma 3': {
    attention: sandwiched(gemma3Attention),
    mlp: sandwiched(gatedMlp(activations['gelu by tanh']!)),
    ...tiedAndScaled(),
  },
  'Phi-3': { sizes: { headDim: 32 }, attention: groupQuery({ isPacked: true }), rotaryDim: 16, mlp: packedMlp },
  'GPT-2': {
    sizes: sameHeads,
    isPaired: true,
    layer: gpt2Layer,
    norm: layerNorm(hidden),
    embed: withPositions(positions),
  },
  'GPT-2 of ONNX operators': {
    sizes: sameHeads,
    attention: onnxAttention({ hasBias: true, mask: hiding }),
    mlp: plainMlp(activations['gelu by tanh']!, gemm(true)),
    norm: layerNorm(hidden),
    embed: withPositions(positions),
  },
  'GPT-NeoX': {
    sizes: sameHeads,
    rotaryDim: 4,
    layer: parallel(multiHead({ hasBias: true, turn: turnRows({ rotary_embedding_dim: 4 }) })),
    norm: layerNorm(hidden),
  },
  Mistral: { attention: groupQuery({ attributes: { local_window_size: 5 } }) },
  'gpt-oss': {
    attention: (graph, x, shared, layer) =>
      groupQuery({ sink: [0.5, -1, 2, 0], attributes: layer === 0 ? { local_window_size: 6 } : {} })(
        graph,
        x,
        shared,
        layer,
      ),
  },
};

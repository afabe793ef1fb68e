/** Norms, activations and MLPs as exporters write them. */
import type { GraphBuilder } from './graph-builder.ts';
import type { Product } from './product-spellings.ts';
import { type Part, product, rmsNorm } from './tiny-decoder.ts';

type Spelling = (graph: GraphBuilder, x: string) => string;

const epsilon = 1e-5;

export function layerNorm(width: number, hasBias = true): Spelling {
  return (graph, x) => {
    const inputs = [x, graph.random([width], 2), ...(hasBias ? [graph.random([width])] : [])];
    return graph.node('LayerNormalization', inputs, { axis: -1, epsilon });
  };
}

export function simplifiedNorm(width: number): Spelling {
  return (graph, x) => {
    const attributes = { axis: -1, epsilon, stash_type: 1 };
    return graph.node('SimplifiedLayerNormalization', [x, graph.random([width], 2)], attributes);
  };
}

/** Root mean square by plain operators, as PyTorch's exporters write it. */
export function plainRmsNorm(width: number): Spelling {
  return (graph, x) => {
    const square = graph.node('Pow', [x, graph.float(2)]);
    const mean = graph.node('ReduceMean', [square, graph.ints([-1])], { keepdims: 1 });
    const root = graph.node('Sqrt', [graph.node('Add', [mean, graph.float(epsilon)])]);
    const scaled = graph.node('Mul', [x, graph.node('Div', [graph.float(1), root])]);
    return graph.node('Mul', [graph.random([width], 2), scaled]);
  };
}

export function plainLayerNorm(width: number): Spelling {
  return (graph, x) => {
    const mean = (y: string) => graph.node('ReduceMean', [y, graph.ints([-1])], { keepdims: 1 });
    const centred = graph.node('Sub', [x, mean(x)]);
    const variance = mean(graph.node('Pow', [centred, graph.float(2)]));
    const deviation = graph.node('Sqrt', [graph.node('Add', [variance, graph.float(epsilon)])]);
    const scaled = graph.node('Mul', [graph.node('Div', [centred, deviation]), graph.random([width], 2)]);
    return graph.node('Add', [scaled, graph.random([width])]);
  };
}

/** The norm with the residual add inside, of which both results are read. */
export function skipNorm(
  graph: GraphBuilder,
  kind: 'Simplified' | '',
  [x, added]: readonly [string, string],
  { width, hasBias = false }: { width: number; hasBias?: boolean },
): { readonly norm: string; readonly sum: string } {
  const vectors = [graph.random([width], 2), ...(kind ? [] : [graph.random([width])])];
  if (hasBias) vectors.push(graph.random([width]));
  const type = `com.microsoft.Skip${kind}LayerNormalization`;
  const [norm, , , sum] = graph.nodeOf(type, [x, added, ...vectors], { epsilon }, 4);
  graph.nodes.at(-1)!.output.fill('', 1, 3); // statistics, which only training reads
  return { norm: norm!, sum: sum! };
}

/** One product, a function of every number, one product. */
export function plainMlp(activation: Spelling, times: Product = product): Part {
  return (graph, x, { sizes: { hidden, inner } }) =>
    times(graph, activation(graph, times(graph, x, hidden, inner)), inner, hidden);
}

/** activation(gate) * up */
export function gatedMlp(activation: Spelling, times: Product = product): Part {
  return (graph, x, { sizes: { hidden, inner } }) => {
    const [gate, up] = [times(graph, x, hidden, inner), times(graph, x, hidden, inner)];
    return times(graph, graph.node('Mul', [activation(graph, gate), up]), inner, hidden);
  };
}

/** Phi-3's: gate and up are halves of one product. */
export const packedMlp: Part = (graph, x, { sizes: { hidden, inner } }) => {
  const both = product(graph, x, hidden, 2 * inner);
  const [gate, up] = graph.nodeOf('Split', [both, graph.ints([inner, inner])], { axis: -1 }, 2);
  return product(graph, graph.node('Mul', [up!, activations.silu!(graph, gate!)]), inner, hidden);
};

const half = (graph: GraphBuilder, x: string, y: string) =>
  graph.node('Mul', [graph.node('Mul', [x, y]), graph.float(0.5)]);

export const activations: Record<string, Spelling> = {
  silu: (graph, x) => graph.node('Mul', [x, graph.node('Sigmoid', [x])]),
  Gelu: (graph, x) => graph.node('Gelu', [x]),
  'Gelu with tanh': (graph, x) => graph.node('Gelu', [x], { approximate: 'tanh' }),
  'com.microsoft.Gelu': (graph, x) => graph.node('com.microsoft.Gelu', [x]),
  FastGelu: (graph, x) => graph.node('com.microsoft.FastGelu', [x]),
  QuickGelu: (graph, x) => graph.node('com.microsoft.QuickGelu', [x], { alpha: 1.702 }),
  'QuickGelu that is silu': (graph, x) => graph.node('com.microsoft.QuickGelu', [x], { alpha: 1 }),
  'QuickGelu with a factor of its own': (graph, x) => graph.node('com.microsoft.QuickGelu', [x], { alpha: 1.3 }),
  Relu: (graph, x) => graph.node('Relu', [x]),
  'squared relu': (graph, x) => graph.node('Pow', [graph.node('Relu', [x]), graph.float(2)]),
  Tanh: (graph, x) => graph.node('Tanh', [x]),
  Sigmoid: (graph, x) => graph.node('Sigmoid', [x]),
  'gelu by erf': (graph, x) => {
    const erf = graph.node('Erf', [graph.node('Div', [x, graph.float(Math.SQRT2)])]);
    return half(graph, x, graph.node('Add', [erf, graph.float(1)]));
  },
  'gelu by tanh': (graph, x) => {
    const cube = graph.node('Mul', [graph.node('Pow', [x, graph.float(3)]), graph.float(0.044715)]);
    const inside = graph.node('Mul', [graph.node('Add', [x, cube]), graph.float(Math.sqrt(2 / Math.PI))]);
    return half(graph, x, graph.node('Add', [graph.node('Tanh', [inside]), graph.float(1)]));
  },
};

/** With a bias of `width` numbers that the operator adds. */
export function biased(type: 'BiasGelu' | 'FastGelu', width: number): Spelling {
  return (graph, x) => graph.node(`com.microsoft.${type}`, [x, graph.random([width])]);
}

/** A norm before and after attention and MLP, as in Gemma 2 and 3. */
export function sandwiched(part: Part): Part {
  return (graph, x, shared, layer) => rmsNorm(graph, part(graph, x, shared, layer), shared.sizes.hidden);
}

/**
 * Compiles the ONNX graph of a decoder to a plan. Operators, attributes and wiring say what it is; names are read only of the
 * inputs that every decoder has: `input_ids`, `attention_mask`, `position_ids`.
 */
import type { GraphProto, ValueInfoProto } from '../../../graph/onnx_pb.js';
import { TensorProto_DataType } from '../../../graph/onnx_pb.js';
import { type OnnxModel, shapeOf } from '../../../graph/onnx-model.ts';
import type { Plan } from '../plan.ts';
import { applyOperator } from './apply-operator.ts';
import { Compilation, type CompileOptions } from './compilation.ts';
import { Draft } from './draft.ts';
import { fuse } from './fuse.ts';
import { GraphNode } from './graph-node.ts';
import { orderedNodes } from './graph-order.ts';
import { damaged, labelOf, unsupported } from './refusal.ts';
import { newPositions } from './rotary.ts';
import { gatherLinears, placeBuffers, selectRows } from './schedule.ts';
import { elideCopies, removeDead } from './simplify.ts';
import { tensorOf } from './tensor.ts';
import type { Cache, Hidden, Value } from './value.ts';
import { isDense, one, tokenAxis } from './view.ts';

/**
 * Reads small constants (norm weights, biases, tables) from the graph or `externalData`; large ones are only located.
 *
 * @throws AppError `model-unsupported` naming the operator and node that this runtime does not know, so that another may
 *   take the graph; `model-damaged` where shapes, tensors or files do not fit, which no runtime can run.
 */
export function compileDecoder({ graph }: OnnxModel, options: CompileOptions = {}): Plan {
  try {
    const compilation = new Compilation(options);
    const values = givenValues(graph, compilation);
    for (const proto of orderedNodes(graph)) {
      const label = labelOf(proto);
      const inputs = proto.input.map((name) => (name ? namedValue(graph, values, name, label) : undefined));
      for (const [i, value] of applyOperator(new GraphNode(proto, inputs), compilation).entries())
        if (proto.output[i] && value) values.set(proto.output[i], value);
    }
    return planOf(compilation, logitsOf(graph, values, compilation));
  } catch (thrown) {
    if (thrown instanceof RangeError)
      throw unsupported('its operators are nested too deeply, or its tensors too large');
    throw thrown;
  }
}

/** Constants and inputs; a constant that is listed as an input too is a constant. */
function givenValues(graph: GraphProto, compilation: Compilation): Map<string, Value> {
  const values = new Map<string, Value>();
  for (const tensor of graph.initializer) {
    if (!tensor.name) throw damaged('a constant has no name');
    values.set(tensor.name, compilation.constant(tensor, tensor.name));
  }
  for (const [index, input] of graph.input.entries()) {
    const value = values.has(input.name) ? undefined : inputValue(input, index, compilation);
    if (value) values.set(input.name, value);
  }
  return values;
}

function namedValue(graph: GraphProto, values: ReadonlyMap<string, Value>, name: string, label: string): Value {
  const value = values.get(name);
  if (value) return value;
  if (graph.input.some((input) => input.name === name))
    throw unsupported(`${label} reads the input ${name}, which is not known`);
  if (graph.node.some(({ output }) => output.includes(name)))
    throw unsupported(`${label} reads ${name}, an output that is not known`);
  throw damaged(`${label} reads ${name}, which nothing computes`);
}

function inputValue(input: ValueInfoProto, index: number, compilation: Compilation): Value | undefined {
  switch (input.name) {
    case 'input_ids':
      return { kind: 'tokens', axes: [one, tokenAxis] };
    case 'attention_mask':
      return compilation.known({
        isConstant: false,
        compute: ({ tokens, past }) => tensorOf('int', [1, tokens + past], new Array(tokens + past).fill(1)),
      });
    case 'position_ids':
      return compilation.known({
        isConstant: false,
        compute: (size) => tensorOf('int', [1, size.tokens], newPositions(size)),
      });
    default:
      return pastInput(input, index);
  }
}

/** [batch, head, token, dim] of keys or values, or [2, batch, head, token, dim] of both. */
function pastInput(input: ValueInfoProto, index: number): Cache | undefined {
  const shape = shapeOf(input);
  const type = input.type?.value.case === 'tensorType' ? input.type.value.value.elemType : undefined;
  const { FLOAT, FLOAT16, BFLOAT16 } = TensorProto_DataType;
  const [kvHeads, , headDim] = shape?.slice(-3) ?? [];
  const isPair = shape?.length === 5 && shape[0] === 2;
  if (![FLOAT, FLOAT16, BFLOAT16].includes(type ?? 0) || !(shape?.length === 4 || isPair)) return undefined;
  if (typeof kvHeads !== 'number' || typeof headDim !== 'number' || kvHeads < 1 || headDim < 1) return undefined;
  const axes = ['one', 'kvHead', 'past', 'dim'] as const;
  return {
    kind: 'cache',
    input: index,
    kvHeads,
    headDim,
    repeat: 1,
    scale: 1,
    axes: isPair ? ['pair', ...axes] : axes,
  };
}

/** The widest of the outputs that tokens decide and that are no cache. */
function logitsOf(graph: GraphProto, values: ReadonlyMap<string, Value>, { builder }: Compilation): Hidden {
  const outputs = graph.output.map(({ name }) => namedValue(graph, values, name, `The output ${name}`));
  const rows = outputs.filter((value) => value.kind === 'hidden');
  const [widest] = rows.sort((a, b) => b.slice.width - a.slice.width);
  if (!widest) throw unsupported('it has no output of logits');
  const logits = builder.settle(widest, 'the logits');
  const features = logits.axes.filter(({ size, isToken }) => size > 1 && !isToken);
  if (features.length !== 1 || !isDense(logits.axes)) throw unsupported('its logits are not one row for each token');
  return logits;
}

function planOf(compilation: Compilation, { slice }: Hidden): Plan {
  const { layers, builder } = compilation;
  const [first] = layers;
  if (!first) throw unsupported('it has no attention with a key/value cache');
  const draft = new Draft(builder.steps, builder.widths, slice);
  removeDead(draft);
  elideCopies(draft);
  fuse(draft);
  removeDead(draft);
  gatherLinears(draft);
  selectRows(draft);
  const { steps, buffers, logits } = placeBuffers(draft);
  for (const step of steps)
    if (step.op === 'embed' && step.by === 'token' && step.table.rows < slice.width)
      throw unsupported(`its embedding has ${step.table.rows} rows for a vocabulary of ${slice.width}`);
  const order = layers.map(({ key }) => key).sort((a, b) => a - b);
  const { heads, kvHeads, headDim } = first;
  return {
    ...{ layers: layers.length, heads, kvHeads, headDim, vocabSize: slice.width, buffers, logits },
    maxPositions: compilation.hasComputedTables ? compilation.positions : compilation.tablePositions,
    steps: steps.map((step) => (step.op === 'attention' ? { ...step, layer: order.indexOf(step.layer) } : step)),
  };
}

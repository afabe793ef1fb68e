/**
 * Recognises attention that a graph spells out: softmax over the last axis of what comes from a product of two tensors,
 * multiplied by a third. Routers, classifiers and pooling have a softmax, too, but not these two products around it.
 */
import type { AttentionSite, Axis, HeadTensor, ScoreStep, SideTensor } from './attention-site.ts';
import { Atom, countOf, leavesOf, namedAxes } from './axis-atoms.ts';
import type { FoundAttention, GraphReading, Recogniser } from './graph-reading.ts';
import { type Application, applicationOf, operandsOf, productFactor, productForm } from './matrix-product.ts';
import { type OperandSource, operandSource } from './operand-walk.ts';
import { headOutput } from './output-walk.ts';
import {
  findScores,
  hasRole,
  isOverLastAxis,
  type LateSide,
  type LateStep,
  looseProduct,
  type ScorePath,
} from './score-search.ts';
import { smallConstant } from './small-constants.ts';
import type { WiredNode, WiredTensor } from './wired-graph.ts';

/** The operator whose output is the weights: Softmax, or the division by their sum. */
export const recogniseSoftmax: Recogniser = (node, reading) => {
  if (!isSoftmax(node, reading)) return undefined;
  for (const use of usesOfWeights(node, reading)) {
    const found = recogniseUse(node, use, reading);
    if (found) return found;
  }
  return undefined;
};

function isSoftmax(node: WiredNode, reading: GraphReading): boolean {
  const rank = reading.facts(node.outputs[0]).shape?.length;
  if (rank === undefined || rank < 2) return false;
  if (softmaxes.includes(node.operator)) return isOverLastAxis(node, rank, reading);
  const below = node.inputs[1]?.producer;
  return node.operator === 'Div' && below?.operator === 'ReduceSum' && node.inputs[0]?.producer?.operator === 'Exp';
}

/** Of graphs whose operators take and give codes of 8 bits. */
const codedSoftmax = 'com.microsoft.QLinearSoftmax';
const softmaxes = ['Softmax', 'com.microsoft.BiasSoftmax', codedSoftmax];

interface WeightsUse {
  readonly product: WiredNode;
  readonly position: number;
  readonly tensor: WiredTensor;
  /** Passed on the way. */
  readonly passed: ReadonlySet<WiredNode>;
}

/** What may stand between softmax and the product with the values. */
const passable = new Set(
  (
    'Cast Identity Dropout Where Mul Div Add Slice Split Reshape Transpose Unsqueeze Squeeze Flatten QuantizeLinear ' +
    'DequantizeLinear DynamicQuantizeLinear Clip'
  ).split(' '),
);
const maxPassed = 40;

function usesOfWeights(softmax: WiredNode, reading: GraphReading): WeightsUse[] {
  const passed = new Set<WiredNode>([softmax]);
  const pending = softmax.outputs.slice(0, 1);
  const uses: WeightsUse[] = [];
  for (let tensor = pending.shift(); tensor && passed.size < maxPassed; tensor = pending.shift())
    for (const { node, position } of tensor.readers) {
      if (passable.has(node.operator)) {
        if (passed.has(node)) continue;
        passed.add(node);
        pending.push(...node.outputs);
      } else {
        const rank = reading.facts(tensor).shape?.length;
        if (rank !== undefined) uses.push({ product: node, position, tensor, passed });
      }
    }
  return uses;
}

function recogniseUse(softmax: WiredNode, use: WeightsUse, reading: GraphReading): FoundAttention | undefined {
  const shape = reading.facts(use.tensor).shape!;
  const axes = shape.map((size) => [new Atom(size)]);
  const application = applicationOf(use.product, use.position, axes, reading);
  if (!application || !reading.isActivation(application.value.tensor)) return undefined;
  for (const atom of application.query) atom.role = 'query';
  for (const atom of application.key) atom.role = 'key';
  const product = use.product.outputs[0];
  if (!product) return undefined;
  const output = headOutput({ tensor: product, axes: application.output }, application.dim, reading);
  // Between codes a head that is never merged with its size cannot be told from the batch.
  if (softmax.operator === codedSoftmax && !output.heads && axes.length < 4) return undefined;
  nameHeads(axes, output.heads);
  const path = findScores({ from: { tensor: use.tensor, axes }, allowed: use.passed, softmax, reading });
  const operands = path && scoreOperands(path, reading);
  const loose = path ? undefined : looseProduct(softmax, reading);
  if (!operands && !loose) return undefined;
  // Only now is every axis split as far as it will be.
  const value = operandSource(application.value, reading);
  const namer = createNamer(levelsOf(axes), reading);
  const heads = countOf(headsIn(axes));
  const probabilities = namer.maybe({ tensor: unquantised(use.tensor), axes });
  const base: Base = {
    node: softmax,
    hasSink: path?.sink !== undefined,
    kind: 'self',
    result: product,
    ...(heads !== undefined && { heads }),
    ...endsOf({ ...application, value: value.steps.length === 0 ? value : application.value }, output, namer),
    ...(probabilities && { probabilities }),
  };
  if (path && operands) return describe(base, path, operands, namer);
  const [query, key] = [loose!.inputs[0]!, loose!.inputs[productForm(loose!)!.right]!];
  return held(
    { ...base, querySource: [query], keySource: [key] },
    'Its scores are computed in a way that is not known here',
  );
}

/** Before it was rounded for a product of bytes. */
function unquantised(tensor: WiredTensor): WiredTensor {
  const quantiser = tensor.producer;
  const isCode = quantiser?.operator === 'DynamicQuantizeLinear' || quantiser?.operator === 'QuantizeLinear';
  return (isCode && quantiser.inputs[0]) || tensor;
}

function held(base: Omit<FoundAttention, 'cut'>, why: string): FoundAttention | undefined {
  const note = `${why}, so the weights are read as the graph holds them.`;
  return base.probabilities && { ...base, note, cut: { refused: note } };
}

interface ScoreOperands {
  readonly query: OperandSource;
  readonly key: OperandSource;
  /** As the product reads them. */
  readonly sources: { readonly query: WiredTensor; readonly key: WiredTensor };
}

function scoreOperands({ product, scores }: ScorePath, reading: GraphReading): ScoreOperands | undefined {
  const operands = operandsOf(product, scores.axes, reading);
  if (!operands) return undefined;
  const { left, right } = operands;
  const [query, key] = hasRole(left.axes, 'key') ? [right, left] : [left, right];
  const sources = { query: query.tensor, key: key.tensor };
  return { query: operandSource(query, reading), key: operandSource(key, reading), sources };
}

/** What is not query or key in front is heads where the output merges it with their size, else the batch. */
function nameHeads(axes: readonly (readonly Atom[])[], heads: readonly Atom[] | undefined): void {
  for (const [i, axis] of axes.entries())
    for (const atom of axis.flatMap((each) => each.leaves())) {
      if (atom.role) continue;
      // Never merged: by custom the second of four axes.
      const isHead = heads ? heads.flatMap((each) => each.leaves()).includes(atom) : axes.length === 4 && i === 1;
      atom.role = isHead ? 'head' : 'batch';
    }
}

function headsIn(axes: readonly (readonly Atom[])[]): Atom[] {
  return axes.flatMap(leavesOf).filter(({ role }) => role === 'head');
}

function levelsOf(axes: readonly (readonly Atom[])[]): Map<Atom, number> {
  const levels = new Map<Atom, number>();
  const counts = new Map<string, number>();
  for (const atom of axes.flatMap(leavesOf)) {
    if (atom.size === 1 || !atom.role) continue;
    const level = counts.get(atom.role) ?? 0;
    levels.set(atom, level);
    counts.set(atom.role, level + 1);
  }
  return levels;
}

class Unnamed extends Error {}

interface Namer {
  axes(axes: LateSide['axes']): Axis[];
  side(side: LateSide): SideTensor<WiredTensor>;
  maybe(side: { readonly tensor: WiredTensor; readonly axes: LateSide['axes'] }): SideTensor<WiredTensor> | undefined;
}

/** Constants up to this size are read from the graph, not from a run. */
const maxConstant = 1024;

function createNamer(levels: ReadonlyMap<Atom, number>, reading: GraphReading): Namer {
  const name = (axes: LateSide['axes']) => {
    const named = namedAxes(axes, levels);
    if (!named) throw new Unnamed();
    return named;
  };
  const side = ({ tensor, axes }: LateSide): SideTensor<WiredTensor> => {
    const constant = 'dims' in tensor ? tensor : constantOf(tensor, reading);
    const rank = constant ? constant.dims.length : reading.facts(tensor as WiredTensor).shape?.length;
    const own = rank !== undefined && rank < axes.length ? axes.slice(axes.length - rank) : axes;
    return { tensor: constant ?? tensor, axes: name(own) };
  };
  return {
    axes: name,
    side,
    maybe: ({ tensor, axes }) => {
      const named = namedAxes(axes, levels);
      return named && { tensor, axes: named };
    },
  };
}

function constantOf(tensor: WiredTensor, reading: GraphReading) {
  const constant = smallConstant(tensor, maxConstant);
  if (constant) return { data: constant.data, dims: constant.dims };
  const { values, shape } = reading.facts(tensor);
  const isKnown =
    values?.every((value) => typeof value === 'number') && shape?.every((size) => typeof size === 'number');
  return isKnown ? { data: values as number[], dims: shape as number[] } : undefined;
}

type Ends = Pick<AttentionSite<WiredTensor>, 'value' | 'output' | 'headDim'>;

function endsOf({ value, dim }: Application, output: ReturnType<typeof headOutput>, namer: Namer): Ends {
  const own = headTensor(value, namer);
  const named = namer.maybe(output);
  return {
    ...(own && { value: own }),
    ...(named && { output: { tensor: output.tensor, axes: named.axes } }),
    ...(typeof dim.size === 'number' && { headDim: dim.size }),
  };
}

function headTensor(
  source: Pick<OperandSource, 'tensor' | 'axes' | 'zeroPoint'>,
  namer: Namer,
): HeadTensor<WiredTensor> | undefined {
  const named = namer.maybe(source);
  const { tensor, zeroPoint } = source;
  return named && { tensor, axes: named.axes, ...(zeroPoint && { zeroPoint }) };
}

type Base = Pick<FoundAttention, 'node' | 'result' | 'hasSink' | 'kind' | 'heads' | 'probabilities' | keyof Ends>;

function describe(base: Base, path: ScorePath, operands: ScoreOperands, namer: Namer): FoundAttention | undefined {
  const { query, key, sources } = operands;
  const common = { ...base, querySource: [sources.query], keySource: [sources.key] };
  try {
    const factor = productFactor(path.product);
    const late = (steps: readonly LateStep[]) => steps.map((step) => step(namer.side));
    const [queryTensor, keyTensor] = [headTensor(query, namer), headTensor(key, namer)];
    if (!queryTensor || !keyTensor) throw new Unnamed();
    const steps: ScoreStep<WiredTensor>[] = [
      ...(factor === 1 ? [] : [{ op: 'mul' as const, operand: { tensor: { data: [factor], dims: [] }, axes: [] } }]),
      ...late([...query.steps, ...key.steps, ...path.before]),
    ];
    const sink = path.sink && namer.side(path.sink);
    const program = { query: queryTensor, key: keyTensor, steps, after: late(path.after), ...(sink && { sink }) };
    const kvHeads = countOf(headsIn(key.axes));
    const cut = { reader: path.cut.node, position: path.cut.position, axes: namer.axes(path.cut.axes) };
    return { ...common, ...traits(steps), ...(kvHeads !== undefined && { kvHeads }), program, cut };
  } catch (thrown) {
    if (!(thrown instanceof Unnamed)) throw thrown;
    return held(common, 'The sizes of its heads do not follow from the graph');
  }
}

/** The constants among the steps that papers have names for. */
function traits(steps: readonly ScoreStep<WiredTensor>[]): Pick<AttentionSite, 'scale' | 'softcap'> {
  let scale = 1;
  let softcap: number | undefined;
  for (const [i, step] of steps.entries()) {
    const factor = 'operand' in step ? scalar(step.operand) : undefined;
    if (step.op === 'tanh') {
      const before = steps[i - 1];
      const cap = before && 'operand' in before ? scalar(before.operand) : undefined;
      softcap = cap === undefined ? undefined : before!.op === 'div' ? cap : 1 / cap;
      break;
    }
    const isScaling = step.op === 'mul' || step.op === 'div';
    if (factor === undefined || !isScaling) {
      // Scales of dynamic quantisation are one number, too.
      if (step.op === 'cast' || (isScaling && step.operand.axes.length === 0)) continue;
      break;
    }
    if (steps[i + 1]?.op === 'tanh') continue;
    scale *= step.op === 'mul' ? factor : 1 / factor;
  }
  return { scale, ...(softcap !== undefined && { softcap }) };
}

function scalar({ tensor }: SideTensor<WiredTensor>): number | undefined {
  return 'dims' in tensor && tensor.data.length === 1 ? tensor.data[0] : undefined;
}

/**
 * Lays the attention of any ONNX graph open: every tensor that weights follow from becomes an output of the graph, and
 * gates, patches and cuts are added where they are asked for. Weights are neither read nor copied.
 */
import type {
  AttentionSite,
  ConstantSide,
  HeadTensor,
  PastRule,
  ProjectionCodes,
  ProjectionStep,
  RefusedNode,
  RotaryStep,
  ScoreProgram,
  ScoreStep,
  SideTensor,
  SiteInputs,
} from './attention-site.ts';
import { externalPaths } from './external-path.ts';
import { type FoundSite, findAttention } from './find-attention.ts';
import { GraphEdit } from './graph-edit.ts';
import type { GraphReading } from './graph-reading.ts';
import { inlineFunctions } from './inline-functions.ts';
import { TensorProto_DataType } from './onnx_pb.js';
import { type OnnxModel, readModel, writeModel } from './onnx-model.ts';
import { readGraph } from './read-graph.ts';
import { type WiredTensor, wireGraph } from './wired-graph.ts';

export interface TapOptions {
  /** Every head's output is multiplied by an input. */
  readonly gates?: boolean;
  /** An input is added to every head's output, behind the gate. */
  readonly patches?: boolean;
  /** An input is added to the scores. */
  readonly cuts?: boolean;
  /** Also return the weights themselves where the graph holds them: heavy, for tests. */
  readonly probabilities?: boolean;
  /** Of the file, for sentences that name it. */
  readonly path?: string;
}

export interface TappedGraph {
  /** Edited in place where one was given. */
  readonly model: OnnxModel;
  readonly sites: readonly AttentionSite[];
  readonly refused: readonly RefusedNode[];
  /** Outputs that were added; a run that does not fetch them copies nothing. */
  readonly outputs: readonly string[];
  /** Inputs that were added; each has to be fed, see `neutralFeeds`. */
  readonly inputs: readonly string[];
  /** The edited graph as a file. Bytes that were given are as they were. */
  toBytes(): Uint8Array<ArrayBuffer>;
}

/** @throws AppError `model-damaged` when the graph is no valid one, or keeps weights outside of the model's folder. */
export function tapGraph(source: Uint8Array | OnnxModel, options: TapOptions = {}): TappedGraph {
  const model = source instanceof Uint8Array ? readModel(source) : source;
  externalPaths(model, options.path ?? 'The model graph');
  inlineFunctions(model);
  const reading = readGraph(wireGraph(model));
  const { sites: found, refused } = findAttention(reading);
  const edit = new GraphEdit(reading);
  const inputs = found.map((each) => addInputs(each, options, edit, reading));
  const sites = found.map(({ site }, i) => exposed(site, inputs[i]!, options, edit));
  return { model, sites, refused, outputs: edit.outputs, inputs: edit.inputs, toBytes: () => writeModel(model) };
}

function addInputs(
  { site, cut, node }: FoundSite,
  options: TapOptions,
  edit: GraphEdit,
  reading: GraphReading,
): SiteInputs {
  const { output } = site;
  const half = reading.facts(output?.tensor ?? node.inputs[0]).type === TensorProto_DataType.FLOAT16;
  const elements = half ? TensorProto_DataType.FLOAT16 : TensorProto_DataType.FLOAT;
  const noOutput = { refused: 'The graph does not show where the heads hand on their output.' };
  const wanted = (is: boolean | undefined, what: string) =>
    is ? { [what]: output ? edit.input(what, elements, output.axes.length) : noOutput } : {};
  const [gate, patch] = [wanted(options.gates, 'gate'), wanted(options.patches, 'patch')];
  const operators = [
    ...(typeof gate.gate === 'string' ? [{ type: 'Mul', operand: gate.gate }] : []),
    ...(typeof patch.patch === 'string' ? [{ type: 'Add', operand: patch.patch }] : []),
  ];
  if (output && operators.length > 0) edit.insertBehind(output.tensor, operators);
  const inputs: SiteInputs = { ...gate, ...patch, type: half ? 'float16' : 'float32' };
  if (!options.cuts) return inputs;
  if ('refused' in cut) return { ...inputs, cut };
  const scores = reading.facts(cut.reader.inputs[cut.position] ?? cut.reader.inputs[0]).type;
  const isThere = cut.reader.inputs[cut.position] !== undefined;
  const name = edit.input('cut', scores ?? elements, cut.axes.length);
  edit.addAt(cut.reader, cut.position, name);
  const isCutWhole = cut.isWhole && !isThere;
  return { ...inputs, cut: name, cutAxes: cut.axes, ...(isCutWhole && { isCutWhole }) };
}

type SiteOf<T> = Omit<AttentionSite<T>, 'inputs'>;

function exposed(site: SiteOf<WiredTensor>, inputs: SiteInputs, options: TapOptions, edit: GraphEdit): AttentionSite {
  const { program, probabilities, value, output, ...rest } = site;
  const isHeld = probabilities && (!program || options.probabilities);
  return {
    ...rest,
    inputs,
    ...(program && { program: withCut(exposedProgram(program, edit), inputs) }),
    ...(isHeld && { probabilities: exposedSide(probabilities, edit) }),
    ...(value && { value: exposedHead(value, edit) }),
    ...(output && { output: exposedHead(output, edit) }),
  };
}

/** Scores are read with what a run cuts from them. */
function withCut(program: ScoreProgram, { cut, cutAxes }: SiteInputs): ScoreProgram {
  if (typeof cut !== 'string' || !cutAxes) return program;
  return { ...program, steps: [...program.steps, { op: 'add', operand: { tensor: cut, axes: cutAxes } }] };
}

function exposedProgram(program: ScoreProgram<WiredTensor>, edit: GraphEdit): ScoreProgram {
  const { query, key, steps, after, sink } = program;
  return {
    query: exposedHead(query, edit),
    key: exposedHead(key, edit),
    steps: steps.map((step) => exposedStep(step, edit)),
    after: after.map((step) => exposedStep(step, edit)),
    ...(sink && { sink: exposedSide(sink, edit) }),
  };
}

function exposedStep(step: ScoreStep<WiredTensor>, edit: GraphEdit): ScoreStep {
  switch (step.op) {
    case 'where':
      return { ...step, condition: exposedSide(step.condition, edit), other: exposedSide(step.other, edit) };
    case 'guard':
      return { ...step, other: exposedSide(step.other, edit) };
    case 'mask':
      return { ...step, mask: exposedSide(step.mask, edit) };
    case 'range':
      return { ...step, bounds: exposedSide(step.bounds, edit) };
    case 'visible':
      return { ...step, past: exposedPast(step.past, edit) };
    default:
      return 'operand' in step ? { ...step, operand: exposedSide(step.operand, edit) } : step;
  }
}

function exposedHead(head: HeadTensor<WiredTensor>, edit: GraphEdit): HeadTensor {
  const { tensor, zeroPoint, bias, rotary, projection, axes } = head;
  return {
    tensor: edit.expose(tensor),
    axes,
    ...(zeroPoint && { zeroPoint: exposedTensor(zeroPoint, edit) }),
    ...(bias && { bias: exposedSide(bias, edit) }),
    ...(rotary && { rotary: exposedRotary(rotary, edit) }),
    ...(projection && { projection: exposedProjection(projection, edit) }),
  };
}

function exposedRotary(rotary: RotaryStep<WiredTensor>, edit: GraphEdit): RotaryStep {
  const { cos, sin, positions, past, ...rest } = rotary;
  return {
    ...rest,
    cos: exposedTensor(cos, edit),
    sin: exposedTensor(sin, edit),
    past: exposedPast(past, edit),
    ...(positions && { positions: exposedSide(positions, edit) }),
  };
}

function exposedPast({ lengths, ...rest }: PastRule<WiredTensor>, edit: GraphEdit): PastRule {
  return { ...rest, ...(lengths && { lengths: exposedSide(lengths, edit) }) };
}

function exposedProjection(projection: ProjectionStep<WiredTensor>, edit: GraphEdit): ProjectionStep {
  const { weights, bias, codes, ...rest } = projection;
  return {
    ...rest,
    weights: edit.expose(weights),
    ...(bias && { bias: edit.expose(bias) }),
    ...(codes && { codes: exposedCodes(codes, edit) }),
  };
}

function exposedCodes(codes: ProjectionCodes<WiredTensor>, edit: GraphEdit): ProjectionCodes {
  const { inputScale, inputZero, weightScale, weightZero } = codes;
  return {
    inputScale: edit.expose(inputScale),
    weightScale: edit.expose(weightScale),
    ...(inputZero && { inputZero: edit.expose(inputZero) }),
    ...(weightZero && { weightZero: edit.expose(weightZero) }),
  };
}

function exposedSide({ tensor, axes }: SideTensor<WiredTensor>, edit: GraphEdit): SideTensor {
  return { tensor: exposedTensor(tensor, edit), axes };
}

function exposedTensor(tensor: WiredTensor | ConstantSide, edit: GraphEdit): string | ConstantSide {
  return 'dims' in tensor ? tensor : edit.expose(tensor);
}

/**
 * Lets a run ask for some rows of logits: a Gather before the output head, which then does not compute the others.
 * Where the head has a form that is not known here, the graph stays as it is.
 */
import { create } from '@bufbuild/protobuf';
import {
  AttributeProto_AttributeType,
  AttributeProtoSchema,
  type NodeProto,
  NodeProtoSchema,
  TensorProto_DataType,
  TensorShapeProto_DimensionSchema,
  TensorShapeProtoSchema,
  TypeProto_TensorSchema,
  TypeProtoSchema,
  ValueInfoProtoSchema,
} from './onnx_pb.js';
import { isOperator, type OnnxModel, producersOf, shapeOf } from './onnx-model.ts';

/** Int64 [row]: which of the new tokens get logits. */
export const logitsRowsInput = 'logits_rows';

/** Operators that work on each row alone, between the product with the vocabulary and the logits. */
const rowwise = ['Cast', 'Mul', 'Div', 'Add', 'Sub', 'Tanh', 'Identity'];

/** Adds the input to the graph. False when the head is not understood; the graph is then unchanged. */
export function addLogitsRows({ graph }: OnnxModel, logits: string): boolean {
  if (graph.input.some(({ name }) => name === logitsRowsInput)) return true;
  if (shapeOf(graph.output.find(({ name }) => name === logits))?.length !== 3) return false;
  const head = findHead({ graph } as OnnxModel, logits);
  if (!head) return false;

  const selected = `${head.hidden}/${logitsRowsInput}`;
  const gather = create(NodeProtoSchema, {
    name: `/${logitsRowsInput}/Gather`,
    opType: 'Gather',
    input: [head.hidden, logitsRowsInput],
    output: [selected],
    attribute: [create(AttributeProtoSchema, { name: 'axis', i: 1n, type: AttributeProto_AttributeType.INT })],
  });
  for (const node of head.readers)
    for (const [position, name] of node.input.entries()) if (name === head.hidden) node.input[position] = selected;
  const first = Math.min(...head.readers.map((node) => graph.node.indexOf(node)));
  graph.node.splice(first, 0, gather);
  graph.input.push(int64Vector(logitsRowsInput, 'logits_rows_count'));
  renameRows(graph.output, logits);
  return true;
}

interface Head {
  /** The tensor [batch, token, hidden] that the head reads. */
  readonly hidden: string;
  readonly readers: NodeProto[];
}

/** Walks back from the logits to the one product with the vocabulary. */
function findHead({ graph }: OnnxModel, logits: string): Head | undefined {
  const producers = producersOf(graph);
  const isConstant = constancy(
    producers,
    new Set(graph.input.map(({ name }) => name)),
    new Set(graph.initializer.map(({ name }) => name)),
  );
  const readers = new Map<string, Set<NodeProto>>();
  const pending = [logits];
  const seen = new Set<string>();
  while (pending.length > 0) {
    const name = pending.pop()!;
    if (seen.has(name) || isConstant(name)) continue;
    seen.add(name);
    const node = producers.get(name);
    if (!node) return undefined;
    if (isOperator(node, '', ...rowwise)) {
      pending.push(...node.input.filter(Boolean));
      continue;
    }
    const data = productInput(node, producers, isConstant);
    if (!data) return undefined;
    readers.set(data.hidden, (readers.get(data.hidden) ?? new Set()).add(data.reader));
  }
  const [only, ...others] = [...readers];
  if (!only || others.length > 0) return undefined;
  return { hidden: only[0], readers: [...only[1]] };
}

/** What a product with a constant matrix reads, through a dynamic quantisation of it if there is one. */
function productInput(
  node: NodeProto,
  producers: Map<string, NodeProto>,
  isConstant: (name: string) => boolean,
): { hidden: string; reader: NodeProto } | undefined {
  const [data, matrix] = node.input;
  if (isOperator(node, '', 'DynamicQuantizeLinear') && data) return { hidden: data, reader: node };
  if (!data || !matrix || !isConstant(matrix)) return undefined;
  if (
    isOperator(node, '', 'MatMul') ||
    isOperator(node, 'com.microsoft', 'MatMulNBits', 'MatMulBnb4', 'DynamicQuantizeMatMul')
  )
    return { hidden: data, reader: node };
  const quantiser = producers.get(data);
  if (isOperator(node, '', 'MatMulInteger') && quantiser && isOperator(quantiser, '', 'DynamicQuantizeLinear'))
    return quantiser.input[0] ? { hidden: quantiser.input[0], reader: quantiser } : undefined;
  return undefined;
}

/** Whether a tensor depends on no input of the graph. */
function constancy(producers: Map<string, NodeProto>, inputs: Set<string>, initialisers: Set<string>) {
  const known = new Map<string, boolean>();
  const isConstant = (name: string): boolean => {
    if (name === '' || initialisers.has(name)) return true;
    if (inputs.has(name)) return false;
    const before = known.get(name);
    if (before !== undefined) return before;
    known.set(name, false); // for a cycle, which a valid graph has not
    const node = producers.get(name);
    const hasBody = node?.attribute.some(({ g, graphs }) => g || graphs.length > 0);
    const result = node !== undefined && !hasBody && node.input.every(isConstant);
    known.set(name, result);
    return result;
  };
  return isConstant;
}

function int64Vector(name: string, length: string) {
  const dim = create(TensorShapeProto_DimensionSchema, { value: { case: 'dimParam', value: length } });
  const tensor = create(TypeProto_TensorSchema, {
    elemType: TensorProto_DataType.INT64,
    shape: create(TensorShapeProtoSchema, { dim: [dim] }),
  });
  return create(ValueInfoProtoSchema, {
    name,
    type: create(TypeProtoSchema, { value: { case: 'tensorType', value: tensor } }),
  });
}

/** The logits no longer have a row for each token: say so, or ONNX Runtime warns at every run. */
function renameRows(outputs: OnnxModel['graph']['output'], logits: string): void {
  const type = outputs.find(({ name }) => name === logits)?.type?.value;
  const rows = type?.case === 'tensorType' ? type.value.shape?.dim[1] : undefined;
  if (rows) rows.value = { case: 'dimParam', value: 'logits_rows_count' };
}

/**
 * Reads and writes ONNX files, and answers the questions that graph edits ask. What is not edited is written back as it
 * was, unknown fields too; weights beside the file stay there.
 */
import { create, fromBinary, toBinary } from '@bufbuild/protobuf';
import { AppError } from '../../../src/shared/app-error.ts';
import {
  type GraphProto,
  type ModelProto,
  ModelProtoSchema,
  type NodeProto,
  type ValueInfoProto,
  ValueInfoProtoSchema,
} from './onnx_pb.js';

export interface OnnxModel {
  readonly proto: ModelProto;
  readonly graph: GraphProto;
}

/** @throws AppError `model-damaged` when the bytes are no ONNX model. */
export function readModel(bytes: Uint8Array): OnnxModel {
  let proto: ModelProto;
  try {
    proto = fromBinary(ModelProtoSchema, bytes);
  } catch (cause) {
    throw new AppError('model-damaged', 'The model graph is not a valid ONNX file. Reload the model.', { cause });
  }
  const { graph } = proto;
  if (!graph || graph.node.length === 0)
    throw new AppError(
      'model-damaged',
      'The model graph has no operators: it is empty or truncated. Reload the model.',
    );
  return { proto, graph };
}

export function writeModel(model: OnnxModel): Uint8Array<ArrayBuffer> {
  return toBinary(ModelProtoSchema, model.proto);
}

/** Tensor name -> the node that computes it. Initialisers and graph inputs have none. */
export function producersOf(graph: GraphProto): Map<string, NodeProto> {
  const producers = new Map<string, NodeProto>();
  for (const node of graph.node) for (const output of node.output) if (output) producers.set(output, node);
  return producers;
}

/** The default domain is written as '' or 'ai.onnx'. */
export function isOperator(node: NodeProto, domain: '' | 'com.microsoft', ...types: string[]): boolean {
  const isDomain = node.domain === domain || (domain === '' && node.domain === 'ai.onnx');
  return isDomain && types.includes(node.opType);
}

/** A graph output without a type: ONNX Runtime infers it. */
export function addOutput(graph: GraphProto, name: string): void {
  if (graph.output.some((output) => output.name === name)) return;
  const declared: ValueInfoProto | undefined = graph.valueInfo.find((info) => info.name === name);
  graph.output.push(declared ?? create(ValueInfoProtoSchema, { name }));
}

/** Dimensions of a graph input or output: a number, or the name of one that varies. */
export function shapeOf(info: ValueInfoProto | undefined): (number | string)[] | undefined {
  const type = info?.type?.value;
  if (type?.case !== 'tensorType') return undefined;
  return type.value.shape?.dim.map(({ value }) =>
    value.case === 'dimValue' ? Number(value.value) : (value.value ?? ''),
  );
}

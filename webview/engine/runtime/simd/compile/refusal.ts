/** Errors of compiling a graph: what is not known here (another runtime may take it), and what no runtime could run. */
import { AppError } from '../../../../../src/shared/app-error.ts';
import type { NodeProto } from '../../../graph/onnx_pb.js';

/** The operator and the node, as messages name them. */
export function labelOf(node: NodeProto): string {
  const operator = node.domain && node.domain !== 'ai.onnx' ? `${node.domain}.${node.opType}` : node.opType;
  const name = node.name || node.output.find(Boolean);
  return name ? `${operator} (${name})` : operator;
}

/** `reason` is a clause without a full stop. */
export function unsupported(reason: string): AppError {
  return new AppError('model-unsupported', `The built-in runtime cannot run this graph: ${reason}. Use ONNX Runtime.`);
}

/** `reason` is a clause without a full stop. */
export function damaged(reason: string): AppError {
  return new AppError('model-damaged', `The model graph is damaged: ${reason}. Copy the model again, and reload it.`);
}

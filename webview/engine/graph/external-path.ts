/** Names of files that a graph keeps its weights in: beside the graph or below it, and nowhere else. */
import { AppError } from '../../../src/shared/app-error.ts';
import { type TensorProto, TensorProto_DataLocation } from './onnx_pb.js';
import type { OnnxModel } from './onnx-model.ts';

interface ExternalRange {
  /** Relative to the folder of the graph, without `./`. */
  readonly path: string;
  readonly offset: number;
  /** Absent: to the end of the file. */
  readonly length: number | undefined;
}

/**
 * Where a tensor's bytes are; undefined where they are in the graph itself.
 * @throws AppError `model-damaged` for a path that leads out of the model's folder, and for ranges that are none.
 */
function externalRange(tensor: TensorProto, graphPath: string): ExternalRange | undefined {
  if (tensor.dataLocation !== TensorProto_DataLocation.EXTERNAL) return undefined;
  const entry = (key: string) => tensor.externalData.find((candidate) => candidate.key === key)?.value;
  const location = entry('location') ?? '';
  const path = location.replace(/^(\.\/)+/, '');
  const steps = path.split('/');
  const isInside =
    path !== '' &&
    !/^[A-Za-z][A-Za-z0-9+.-]*:/.test(path) &&
    !/[\\\0]/.test(path) &&
    steps.every((step) => step !== '' && step !== '.' && step !== '..');
  const refuse = (what: string) =>
    new AppError(
      'model-damaged',
      `${graphPath} is refused: its tensor ${tensor.name} ${what}. Use a copy from its publisher.`,
    );
  if (!isInside) throw refuse(`is said to be in the file '${location}', which does not lie beside the graph`);
  const [offset, length] = [wholeNumber(entry('offset') ?? '0'), wholeNumber(entry('length'))];
  if (offset === undefined || (length === undefined && entry('length') !== undefined))
    throw refuse(`is said to be at ${entry('offset')} in ${path}, ${entry('length')} bytes long`);
  return { path, offset, length };
}

/** Files that a graph needs beside it, its bodies and functions included. @throws as `externalRange`. */
export function externalPaths({ proto, graph }: OnnxModel, graphPath: string): string[] {
  const paths = new Set<string>();
  const pending = [graph];
  const nodes = proto.functions.flatMap(({ node }) => node);
  for (let at = pending.pop(); at; at = pending.pop()) {
    for (const tensor of at.initializer) {
      const range = externalRange(tensor, graphPath);
      if (range) paths.add(range.path);
    }
    for (const node of [...at.node, ...nodes.splice(0)])
      for (const { t, g, graphs } of node.attribute) {
        const range = t && externalRange(t, graphPath);
        if (range) paths.add(range.path);
        pending.push(...(g ? [g] : graphs));
      }
  }
  return [...paths];
}

function wholeNumber(text: string | undefined): number | undefined {
  const value = text !== undefined && /^\d+$/.test(text) ? Number(text) : undefined;
  return value !== undefined && Number.isSafeInteger(value) ? value : undefined;
}

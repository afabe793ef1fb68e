/**
 * Lets a graph whose weights stand in its own file be edited without copying them: the edited graph finds them in the
 * file that they came in.
 */
import { create } from '@bufbuild/protobuf';
import { StringStringEntryProtoSchema, TensorProto_DataLocation } from './onnx_pb.js';
import type { OnnxModel } from './onnx-model.ts';

/** Smaller ones may be needed to know shapes, which ONNX Runtime does before it opens other files. */
const minBytes = 1024;

/**
 * In place. `file` is what the model was read from, and is to be given to the session as external data named `path`.
 * False when nothing is large enough.
 */
export function detachWeights({ graph }: OnnxModel, file: Uint8Array, path: string): boolean {
  let isDetached = false;
  for (const tensor of graph.initializer) {
    const { rawData } = tensor;
    const offset = rawData.byteOffset - file.byteOffset;
    const isView = rawData.buffer === file.buffer && offset >= 0 && offset + rawData.length <= file.length;
    if (!isView || rawData.length < minBytes) continue;
    const entries = { location: path, offset: String(offset), length: String(rawData.length) };
    tensor.externalData = Object.entries(entries).map(([key, value]) =>
      create(StringStringEntryProtoSchema, { key, value }),
    );
    tensor.dataLocation = TensorProto_DataLocation.EXTERNAL;
    tensor.rawData = new Uint8Array(0);
    isDetached = true;
  }
  return isDetached;
}

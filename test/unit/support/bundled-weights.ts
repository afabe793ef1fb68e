/** The quantised matrices of the bundled decoder as its graph has them: the operands of MatMulNBits. */
import { readFileSync } from 'node:fs';
import { readModel } from '../../../webview/engine/graph/onnx-model.ts';
import type { BlockWeight, TensorRef } from '../../../webview/engine/runtime/simd/plan.ts';

const folder = new URL('../../../media/models/SmolLM2-135M-Instruct/onnx/', import.meta.url);

export interface BundledWeights {
  readonly weights: readonly BlockWeight[];
  read(ref: TensorRef): Uint8Array;
}

export function readBundledWeights(): BundledWeights {
  const { graph } = readModel(new Uint8Array(readFileSync(new URL('model_q4.onnx', folder))));
  const data = new Uint8Array(readFileSync(new URL('model_q4.onnx_data', folder)));
  const tensors = new Map(graph.initializer.map((tensor) => [tensor.name!, tensor]));
  const casts = new Map(
    graph.node.flatMap(({ opType, input, output }) => (opType === 'Cast' ? [[output[0]!, input[0]!]] : [])),
  );
  const refOf = (input: string, type: TensorRef['type']): TensorRef => {
    const tensor = tensors.get(casts.get(input) ?? input)!;
    const entry = (key: string) => tensor.externalData.find((candidate) => candidate.key === key)!.value!;
    const source = { file: entry('location'), offset: Number(entry('offset')), length: Number(entry('length')) };
    return { name: tensor.name!, dims: tensor.dims.map(Number), type, source };
  };
  const weights = graph.node
    .filter(({ opType }) => opType === 'MatMulNBits')
    .map(({ input, attribute }): BlockWeight => {
      const number = (name: string) => Number(attribute.find((candidate) => candidate.name === name)!.i);
      const bits = number('bits') as 4 | 8;
      return {
        ...{ kind: 'blocks', bits, blockSize: 32, rows: number('N'), columns: number('K') },
        quantised: refOf(input[1]!, 'uint8'),
        scales: refOf(input[2]!, 'float16'),
        zeroPoints: input[3] ? refOf(input[3], 'float16') : 2 ** (bits - 1),
      };
    });
  return {
    weights,
    read: ({ source }) => {
      if ('bytes' in source) return source.bytes;
      return data.subarray(source.offset, source.offset + source.length);
    },
  };
}

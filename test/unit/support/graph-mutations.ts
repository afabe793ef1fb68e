/** Ways to break a graph. */
import { TensorProto_DataType } from '../../../webview/engine/graph/onnx_pb.js';
import type { OnnxModel } from '../../../webview/engine/graph/onnx-model.ts';

const { FLOAT } = TensorProto_DataType;

/** A whole number from 0 on. */
export type Random = (below: number) => number;

/** Each changes one thing, in place; some graphs stay right. */
export const mutations: Record<string, (model: OnnxModel, random: Random) => void> = {
  'drop a node': ({ graph }, random) => graph.node.splice(random(graph.node.length), 1),
  'rename an input': ({ graph }, random) => {
    const { input } = any(graph.node, random);
    input[random(input.length)] = ['nothing', ''][random(2)]!;
  },
  'read another tensor': ({ graph }, random) => {
    const { input } = any(graph.node, random);
    const names = [...graph.node.flatMap(({ output }) => output), ...graph.initializer.map(({ name }) => name)];
    input[random(input.length)] = any(names, random);
  },
  'swap inputs': ({ graph }, random) => any(graph.node, random).input.reverse(),
  'change a dimension': ({ graph }, random) => {
    const { dims } = any(graph.initializer, random);
    dims[random(dims.length + 1)] = any([0n, 1n, -1n, 3n, 2n ** 40n], random);
  },
  'flatten a constant': ({ graph }, random) => {
    const tensor = any(graph.initializer, random);
    tensor.dims = [tensor.dims.reduce((a, b) => a * b, 1n)];
  },
  'cut a constant': ({ graph }, random) => {
    const tensor = any(graph.initializer, random);
    tensor.rawData = tensor.rawData.subarray(0, random(tensor.rawData.length + 1));
  },
  'garble a constant': ({ graph }, random) => {
    const { rawData } = any(graph.initializer, random);
    for (let i = 0; i < rawData.length; i++) rawData[i] = random(256);
  },
  'change a type': ({ graph }, random) => {
    any(graph.initializer, random).dataType = random(24);
  },
  'change an attribute': ({ graph }, random) => {
    const attribute = any(any(graph.node, random).attribute, random);
    if (!attribute) return;
    attribute.i = any([0n, -1n, 1n, 7n, 2n ** 31n, 2n ** 62n], random);
    attribute.f = any([0, -1, Number.NaN, Number.POSITIVE_INFINITY], random);
    attribute.ints = attribute.ints.map(() => BigInt(random(5)) - 1n);
  },
  'drop attributes': ({ graph }, random) => {
    any(graph.node, random).attribute = [];
  },
  'change an operator': ({ graph }, random) => {
    any(graph.node, random).opType = any(graph.node, random).opType;
  },
  'make a circle': ({ graph }, random) => {
    const at = random(graph.node.length);
    const later = graph.node[at + random(graph.node.length - at)]!;
    graph.node[at]!.input[0] = later.output[0]!;
  },
  'shuffle nodes': ({ graph }, random) => {
    graph.node.sort(() => random(3) - 1);
  },
  'change an input': ({ graph }, random) => {
    any(graph.input, random).name = any(['input_ids', 'position_ids', 'past', ''], random);
  },
  'swap outputs': ({ graph }) => graph.output.reverse(),
  'lose outputs': ({ graph }, random) => graph.output.splice(0, random(graph.output.length + 1)),
  'cut a dimension': ({ graph }, random) => {
    const tensor = any(graph.initializer, random);
    const axis = random(tensor.dims.length);
    if (tensor.dims.length === 0 || (tensor.dims[axis] ?? 0n) < 2n) return;
    const share = Number(tensor.dims[axis]! - 1n) / Number(tensor.dims[axis]);
    tensor.dims[axis] = tensor.dims[axis]! - 1n;
    tensor.rawData = tensor.rawData.subarray(0, Math.round(tensor.rawData.length * share));
  },
  'put NaN or infinity': ({ graph }, random) => {
    const floats = graph.initializer.filter(({ dataType, rawData }) => dataType === FLOAT && rawData.length >= 4);
    if (floats.length === 0) return;
    const { rawData } = any(floats, random);
    const value = any([Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, 3e38], random);
    new DataView(rawData.buffer, rawData.byteOffset).setFloat32(random(rawData.length >> 2) * 4, value, true);
  },
  'change sizes of an operator': ({ graph }, random) => {
    const names = ['K', 'N', 'bits', 'block_size', 'num_heads', 'kv_num_heads', 'q_num_heads', 'rotary_embedding_dim'];
    const all = graph.node.flatMap(({ attribute }) => attribute.filter(({ name }) => names.includes(name)));
    const attribute = any(all, random);
    if (attribute) attribute.i = any([0n, 1n, attribute.i - 1n, attribute.i + 1n, attribute.i * 2n, 2n ** 40n], random);
  },
  'change the shape of a cache': ({ graph }, random) => {
    const value = any(graph.input, random).type?.value;
    const dim = value?.case === 'tensorType' ? any(value.value.shape?.dim ?? [], random) : undefined;
    if (dim) dim.value = { case: 'dimValue', value: any([0n, 1n, 3n, 4n, 64n, -1n, 2n ** 33n], random) };
  },
};

export function any<T>(list: readonly T[], random: Random): T {
  return list[random(list.length)]!;
}

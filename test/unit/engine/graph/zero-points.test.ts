import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { ByteFile } from '../../../../webview/engine/byte-file.ts';
import { constantFloats } from '../../../../webview/engine/graph/constant-floats.ts';
import { readModel } from '../../../../webview/engine/graph/onnx-model.ts';
import { exactZeroPoints, restoreZeroPoints } from '../../../../webview/engine/graph/zero-points.ts';

const folder = 'media/models/SmolLM2-135M-Instruct/onnx';
const graph = new Uint8Array(readFileSync(`${folder}/model_q4.onnx`));
const externalData = [{ path: 'model_q4.onnx_data', file: ByteFile.of(readFileSync(`${folder}/model_q4.onnx_data`)) }];
const half = (value: number) =>
  Math.round(value * 2 ** (10 - Math.floor(Math.log2(value)))) / 2 ** (10 - Math.floor(Math.log2(value)));

describe('exact zero points', () => {
  const scales = Float32Array.from({ length: 256 }, (_, i) => half(0.001 + i * 0.000_037));
  const minima = Float32Array.from({ length: 256 }, (_, i) => (128 + (i % 128)) * 2 ** (-14 - (i % 3)));
  const rounded = minima.map((minimum, i) => half(minimum / scales[i]!));

  it('are found where they are roundings of bfloat16 minima', () => {
    const exact = exactZeroPoints(rounded, scales);
    expect(exact).toBeDefined();
    expect(exact).not.toEqual(rounded);
    for (const [i, minimum] of minima.entries())
      expect(exact![i]! * scales[i]! - minimum).toBeLessThan(2 ** -23 * minimum);
  });

  it.each([
    ['one product is no bfloat16 number', rounded.with(100, rounded[100]! * 1.003), scales],
    ['they are whole numbers', rounded.map((_, i) => i % 16), scales],
    ['they are exact already', rounded.map(() => 8), scales.map(() => 2 ** -7)],
    ['there are too few to tell', rounded.slice(0, 32), scales.slice(0, 32)],
    ['one is not a number', rounded.with(3, Number.NaN), scales],
  ])('are left alone where %s', (_, zeroPoints, ofScales) => {
    expect(exactZeroPoints(zeroPoints, ofScales)).toBeUndefined();
  });
});

describe('restoring a model', () => {
  const model = restoreZeroPoints(graph, externalData);

  it('gives every linear layer of the bundled model its exact zero points', () => {
    expect(model.restored).toBe(210);
    const read = readModel(model.graph);
    const products = read.graph.node.filter(({ opType }) => opType === 'MatMulNBits');
    const name = products[0]?.input[3] ?? '';
    const floats = constantFloats(read, name, model.externalData);
    expect(floats?.dims).toEqual([576, 18]);
    const before = constantFloats(read, name.replace('/restored', ''), externalData);
    for (const [i, value] of floats!.data.entries())
      expect(Math.abs(value - before!.data[i]!)).toBeLessThanOrEqual(2 ** -11 * Math.abs(value) * 1.001);
  });

  it('changes nothing the second time', () => {
    expect(restoreZeroPoints(model.graph, model.externalData).restored).toBe(0);
  });

  it('leaves a graph without such zero points as it is', () => {
    const other = new Uint8Array(readFileSync('media/models/all-MiniLM-L6-v2/onnx/model_quantized.onnx'));
    const { graph: same, restored } = restoreZeroPoints(other, []);
    expect([same === other, restored]).toEqual([true, 0]);
  });
});

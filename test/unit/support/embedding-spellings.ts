/** Embeddings as exporters write them: rows of bytes or of blocks of 4 and 8 bits. */
import type { GraphBuilder } from './graph-builder.ts';
import { randomBytes } from './product-spellings.ts';
import { tiny } from './tiny-decoder.ts';

const { vocab } = tiny;

export interface BlockTable {
  readonly columns: number;
  readonly bits?: 4 | 8;
  readonly blockSize: number;
  readonly hasZeroPoints?: boolean;
}

/** `GatherBlockQuantized`, or, as its twin, `Gather` of the numbers that it stands for. */
export function blockTable({ columns, bits = 4, blockSize, hasZeroPoints }: BlockTable, isTwin: boolean) {
  return (graph: GraphBuilder): string => {
    const blocks = columns / blockSize;
    const [rowBytes, pointBytes] = [(columns * bits) / 8, Math.ceil((blocks * bits) / 8)];
    const byte = (n: number) => Math.floor((n + 0.5) * 256);
    const table = Uint8Array.from(graph.numbers([vocab, rowBytes]), byte);
    const scales = graph.numbers([vocab, blocks], 0.1);
    const points = Uint8Array.from(graph.numbers([vocab, pointBytes]), byte);
    const number = (from: Uint8Array, row: number, index: number, width: number) =>
      bits === 8 ? from[row * width + index]! : (from[row * width + (index >> 1)]! >> (4 * (index & 1))) & 15;
    if (isTwin) {
      const floats = Float32Array.from({ length: vocab * columns }, (_, i) => {
        const [row, column] = [Math.floor(i / columns), i % columns];
        const block = Math.floor(column / blockSize);
        const point = hasZeroPoints ? number(points, row, block, pointBytes) : 2 ** (bits - 1);
        return (number(table, row, column, rowBytes) - point) * scales[row * blocks + block]!;
      });
      return graph.node('Gather', [graph.floats([vocab, columns], floats), 'input_ids']);
    }
    const inputs = [graph.bytes([vocab, rowBytes], table), 'input_ids', graph.floats([vocab, blocks], scales)];
    if (hasZeroPoints) inputs.push(graph.bytes([vocab, pointBytes], points));
    const attributes = { bits, block_size: blockSize, gather_axis: 0, quantize_axis: 1 };
    return graph.node('com.microsoft.GatherBlockQuantized', inputs, attributes);
  };
}

/** Rows of bytes with one scale. */
export function byteTable(columns: number, isSigned: boolean) {
  return (graph: GraphBuilder): string => {
    const rows = graph.node('Gather', [randomBytes(graph, [vocab, columns], isSigned), 'input_ids']);
    const zeroPoint = graph.bytes([], isSigned ? Int8Array.of(-9) : Uint8Array.of(119));
    return graph.node('DequantizeLinear', [rows, graph.float(0.01), zeroPoint]);
  };
}

/** Rows of bytes with a scale for each block, by plain operators. */
export function plainBlockTable(columns: number, blockSize: number) {
  return (graph: GraphBuilder): string => {
    const blocks = columns / blockSize;
    const bytes = graph.node('Gather', [randomBytes(graph, [vocab, columns]), 'input_ids']);
    const scales = graph.node('Gather', [graph.random([vocab, blocks], 0.1), 'input_ids']);
    const parts = graph.node('Reshape', [
      graph.node('Cast', [bytes], { to: 1 }),
      graph.ints([0, 0, blocks, blockSize]),
    ]);
    const centred = graph.node('Sub', [parts, graph.float(128)]);
    const scaled = graph.node('Mul', [centred, graph.node('Unsqueeze', [scales, graph.ints([-1])])]);
    return graph.node('Reshape', [scaled, graph.ints([0, 0, columns])]);
  };
}

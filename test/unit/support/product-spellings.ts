/** Products with a matrix as exporters write them: blocks of 4 and 8 bits, float16, bytes with scales, `Gemm`. */
import type { GraphBuilder } from './graph-builder.ts';

/** x [.., columns] times a matrix of its own, [rows, columns]. */
export type Product = (graph: GraphBuilder, x: string, columns: number, rows: number) => string;

export interface BlockForm {
  readonly bits?: 4 | 8;
  readonly blockSize: number;
  readonly zeroPoints?: 'bytes' | 'floats';
  readonly hasBias?: boolean;
}

export function matMulBits({ bits = 4, blockSize, zeroPoints, hasBias }: BlockForm): Product {
  return (graph, x, columns, rows) => {
    const blocks = Math.ceil(columns / blockSize);
    const inputs = [x, randomBytes(graph, [rows, blocks, (blockSize * bits) / 8])];
    inputs.push(graph.floats([rows * blocks], scalesOf(graph, rows * blocks, 2 ** -bits)));
    if (zeroPoints === 'bytes') inputs.push(randomBytes(graph, [rows * Math.ceil((blocks * bits) / 8)]));
    else if (zeroPoints === 'floats')
      inputs.push(
        graph.floats(
          [rows * blocks],
          graph.numbers([rows * blocks], 2 ** bits).map((n) => n + 2 ** (bits - 1)),
        ),
      );
    if (hasBias) inputs.push(...['', '', ''].slice(inputs.length - 2), graph.random([rows]));
    return graph.node('com.microsoft.MatMulNBits', inputs, { K: columns, N: rows, bits, block_size: blockSize });
  };
}

export const floatHalves: Product = (graph, x, columns, rows) => {
  const halves = graph.halves([columns, rows], graph.numbers([columns, rows]));
  return graph.node('MatMul', [x, graph.node('Cast', [halves], { to: 1 })]);
};

/** As GPT-2's exporters flatten it. */
export function gemm(isTransposed: boolean): Product {
  return (graph, x, columns, rows) => {
    const flat = graph.node('Reshape', [x, graph.ints([-1, columns])]);
    const weight = graph.random(isTransposed ? [rows, columns] : [columns, rows]);
    const y = graph.node('Gemm', [flat, weight, graph.random([rows])], {
      transB: isTransposed ? 1 : 0,
      alpha: 1,
      beta: 1,
    });
    const shape = [graph.node('Shape', ['input_ids']), graph.ints([rows])];
    return graph.node('Reshape', [y, graph.node('Concat', shape, { axis: 0 })]);
  };
}

export const transposed: Product = (graph, x, columns, rows) =>
  graph.node('MatMul', [x, graph.node('Transpose', [graph.random([rows, columns])], { perm: [1, 0] })]);

export interface ByteForm {
  readonly isSigned?: boolean;
  readonly isByChannel?: boolean;
}

/** Bytes, scales and zero points of [columns, rows]. */
function bytesOf(graph: GraphBuilder, columns: number, rows: number, { isSigned, isByChannel }: ByteForm) {
  const count = isByChannel ? rows : 1;
  const dims = isByChannel ? [rows] : [];
  const points = Uint8Array.from(graph.numbers([count], 40), (n) => Math.round(n) + (isSigned ? 0 : 128));
  return {
    weight: randomBytes(graph, [columns, rows], isSigned),
    scale: graph.floats(dims, scalesOf(graph, count, 1 / 256)),
    zeroPoint: graph.bytes(dims, isSigned ? new Int8Array(points.buffer) : points),
  };
}

/** A pair of quantise and dequantise operators of which the first is folded. */
export function dequantised(form: ByteForm & { readonly hasBias?: boolean }): Product {
  return (graph, x, columns, rows) => {
    const { weight, scale, zeroPoint } = bytesOf(graph, columns, rows, form);
    const y = graph.node('MatMul', [x, graph.node('DequantizeLinear', [weight, scale, zeroPoint], { axis: 1 })]);
    return form.hasBias ? graph.node('Add', [y, graph.random([rows])]) : y;
  };
}

/** Two matrices made of the same bytes. */
export const twiceScaled: Product = (graph, x, columns, rows) => {
  const weight = randomBytes(graph, [columns, rows]);
  const parts = [0.01, 0.02].map((scale) => {
    const matrix = graph.node('DequantizeLinear', [weight, graph.float(scale), graph.bytes([], Uint8Array.of(128))]);
    return graph.node('MatMul', [x, matrix]);
  });
  return graph.node('Add', parts);
};

export const fused: Product = (graph, x, columns, rows) =>
  graph.node('com.microsoft.FusedMatMul', [x, graph.random([rows, columns])], { transB: 1, alpha: 0.5 });

/** Activations are rounded to bytes while running. */
export function matMulInteger(form: ByteForm): Product {
  return (graph, x, columns, rows) => {
    const { weight, scale, zeroPoint } = bytesOf(graph, columns, rows, form);
    const [q, qScale, qZero] = graph.nodeOf('DynamicQuantizeLinear', [x], {}, 3);
    const sum = graph.node('MatMulInteger', [q!, weight, qZero!, zeroPoint]);
    return graph.node('Mul', [graph.node('Cast', [sum], { to: 1 }), graph.node('Mul', [qScale!, scale])]);
  };
}

export function dynamicMatMul(form: ByteForm): Product {
  return (graph, x, columns, rows) => {
    const { weight, scale, zeroPoint } = bytesOf(graph, columns, rows, form);
    const inputs = [x, weight, scale, zeroPoint, graph.random([rows])];
    return graph.node('com.microsoft.DynamicQuantizeMatMul', inputs);
  };
}

export function matMulIntegerToFloat(form: ByteForm): Product {
  return (graph, x, columns, rows) => {
    const { weight, scale, zeroPoint } = bytesOf(graph, columns, rows, form);
    const [q, qScale, qZero] = graph.nodeOf('DynamicQuantizeLinear', [x], {}, 3);
    const inputs = [q!, weight, qScale!, scale, qZero!, zeroPoint, graph.random([rows])];
    return graph.node('com.microsoft.MatMulIntegerToFloat', inputs);
  };
}

export function randomBytes(graph: GraphBuilder, dims: readonly number[], isSigned = false): string {
  const bytes = Uint8Array.from(graph.numbers(dims), (n) => Math.floor((n + 0.5) * 256));
  return graph.bytes(dims, isSigned ? new Int8Array(bytes.buffer) : bytes);
}

/** In [size / 2, size). */
function scalesOf(graph: GraphBuilder, count: number, size: number): Float32Array {
  return graph.numbers([count], size / 2).map((n) => n + 0.75 * size);
}

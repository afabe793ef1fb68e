/** Tables of which a token or a position chooses the row: float, quantised in blocks, or quantised by plain operators. */
import type { LinearWeight, Slice } from '../plan.ts';
import { type Compilation, dimsOfKnown, isFloatStored } from './compilation.ts';
import type { GraphNode } from './graph-node.ts';
import type { Known } from './known.ts';
import { gatherView, type Operator } from './layout-operators.ts';
import { positionTable } from './position-table.ts';
import type { Hidden, QuantisedRows, Tokens, Value } from './value.ts';
import { rowAxes } from './view.ts';
import { blockWeight, channelWeight, matrixOf } from './weights.ts';

/** Tokens give a row each; the axis that the row adds comes last. */
function embedded(compilation: Compilation, tokens: Tokens, table: LinearWeight): Hidden {
  const { builder } = compilation;
  const row = builder.result([...tokens.axes, { size: table.columns, stride: 1, isToken: false }]);
  builder.add({ op: 'embed', by: 'token', table, to: row.slice });
  return row;
}

const gather: Operator = (node, compilation) => {
  const [table, index] = [node.required(0), node.required(1)];
  if (table.kind === 'hidden') return gatherView(node, table, compilation);
  if (table.kind !== 'known') return undefined;
  if (index.kind === 'known') {
    notePositions(node, table, index, compilation);
    return undefined;
  }
  if (index.kind !== 'tokens' || node.int('axis', 0) !== 0) throw node.refused('what it reads is not chosen by token');
  const { stored } = table;
  if (stored && !stored.channels && !stored.isTransposed && ['uint8', 'int8'].includes(stored.tensor.type)) {
    const width = { size: stored.tensor.dims.at(-1) ?? 0, stride: 1, isToken: false };
    const rows = { table: stored.tensor as QuantisedRows['table'], zeroPoint: 0, axes: [...index.axes, width] };
    return { kind: 'quantisedRows', ...rows };
  }
  const weight = matrixOf(table, true, node.label);
  const row = embedded(compilation, index, weight);
  return stored && isFloatStored(stored.tensor) ? { ...row, table: stored.tensor as QuantisedRows['table'] } : row;
};

/** A table that positions choose from bounds the context. */
function notePositions(node: GraphNode, table: Known, index: Known, compilation: Compilation): void {
  if (index.isConstant || !table.isConstant || node.int('axis', 0) !== 0) return;
  if (compilation.fixed(index)) return;
  const { data } = index.at({ tokens: 3, past: 4 });
  const offset = (data[0] ?? 0) - 4;
  if (data.length === 3 && data.every((position, i) => position === 4 + offset + i))
    compilation.tablePositions = Math.min(compilation.tablePositions, (dimsOfKnown(table)[0] ?? 0) - offset);
}

/** Rows of a table that the graph computes from positions, as rows like any other. */
export function positionRows(compilation: Compilation, known: Known, width: number, label: string): Slice {
  const { builder } = compilation;
  const { positions, data } = positionTable(compilation, known, width, label);
  const bytes = new Uint8Array(data.buffer);
  const tensor = {
    name: `positions ${known.id}`,
    dims: [positions, width],
    type: 'float32',
    source: { bytes },
  } as const;
  const to = builder.buffer(width);
  const table = { kind: 'float', rows: positions, columns: width, tensor, isTransposed: false } as const;
  builder.add({ op: 'embed', by: 'position', table, to });
  return to;
}

/** https://github.com/microsoft/onnxruntime/blob/main/docs/ContribOperators.md#com.microsoft.GatherBlockQuantized */
const gatherBlocks: Operator = (node, compilation) => {
  const [table, index, scales] = [node.required(0), node.required(1), node.required(2)];
  if (index.kind !== 'tokens') throw node.refused('what it reads is not chosen by token');
  if (table.kind !== 'known' || !table.stored) throw node.refused('its table is computed');
  if (node.int('gather_axis', 0) !== 0 || ![1, -1].includes(node.int('quantize_axis', 1)))
    throw node.refused('its axes are not known');
  const { dims, type, isNibbles } = table.stored.tensor;
  const bits = node.int('bits', 4);
  if (dims.length !== 2 || type !== 'uint8') throw node.refused('its table is not one of unsigned numbers');
  const columns = (dims[1]! * 8) / bits;
  const parts = {
    ...{ bits, blockSize: node.int('block_size', 128), rows: dims[0]!, columns },
    ...{ quantised: table, scales, zeroPoints: node.input(3) ?? (isNibbles ? 0 : 2 ** (bits - 1)) },
  };
  return embedded(compilation, index, blockWeight(parts, node.label));
};

/** `Sub` of a zero point from quantised rows. */
export function withZeroPoint(node: GraphNode, rows: QuantisedRows, compilation: Compilation): Value {
  const zeroPoint = compilation.number(node.required(1));
  if (zeroPoint === undefined || rows.zeroPoint !== 0) throw node.refused('its zero points are not one number');
  return { ...rows, zeroPoint };
}

/** `Mul` of quantised rows with their scales: one number, or rows of a table of scales, one for each block. */
export function withScales(node: GraphNode, rows: QuantisedRows, scale: Value, compilation: Compilation): Value {
  const { dims } = rows.table;
  const [count, columns] = [dims[0] ?? 0, dims[1] ?? 0];
  const tokens: Tokens = { kind: 'tokens', axes: rowAxes(1).slice(0, 2) };
  const reshaped = (row: Hidden): Hidden => ({ ...row, axes: rows.axes });
  const factor = compilation.number(scale);
  if (factor !== undefined) {
    const [scales, zeroPoints] = [Float32Array.of(factor), Float32Array.of(rows.zeroPoint)];
    const shape = { rows: count, columns, isTransposed: false };
    return reshaped(embedded(compilation, tokens, channelWeight({ tensor: rows.table, ...shape, scales, zeroPoints })));
  }
  const table = scale.kind === 'hidden' ? scale.table : undefined;
  const blocks = table?.dims.at(-1) ?? 0;
  const last = rows.axes.at(-1)!.size;
  if (!table || blocks === 0 || columns / blocks !== last || scale.kind !== 'hidden' || scale.axes.at(-1)?.size !== 1)
    throw node.refused('the scales of its quantised rows are not known');
  const stored = (tensor: QuantisedRows['table']) => compilation.stored({ tensor, isTransposed: false });
  const parts = {
    ...{ bits: 8, blockSize: last, rows: count, columns },
    ...{ quantised: stored(rows.table), scales: stored(table), zeroPoints: rows.zeroPoint },
  };
  return reshaped(embedded(compilation, tokens, blockWeight(parts, node.label)));
}

/** Constants stay where they lie, with their scales; rows that tokens choose get theirs. */
const dequantise: Operator = (node, compilation) => {
  const [value, scale, zero] = [node.required(0), node.required(1), node.input(2)];
  if (value.kind === 'quantisedRows') {
    const zeroPoint = zero ? compilation.number(zero) : 0;
    if (zeroPoint === undefined) throw node.refused('its zero points are not one number');
    return withScales(node, { ...value, zeroPoint }, scale, compilation);
  }
  if (value.kind !== 'known' || !value.stored || value.stored.channels) return undefined;
  const { dims } = value.stored.tensor;
  if (dims.length !== 2 || node.int('block_size', 0) !== 0 || value.stored.tensor.isNibbles) return undefined;
  const scales = Float32Array.from(compilation.numbers(scale, node.label));
  const zeroPoints = zero ? Float32Array.from(compilation.numbers(zero, node.label)) : new Float32Array(1);
  const axis = (node.int('axis', 1) + 2) % 2;
  return compilation.stored({ ...value.stored, channels: { scales, zeroPoints, axis } });
};

export const embeddingOperators: Record<string, Operator> = {
  Gather: gather,
  'com.microsoft.GatherBlockQuantized': gatherBlocks,
  DequantizeLinear: dequantise,
};

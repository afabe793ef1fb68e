/** Rotary position embedding: as an operator of either domain, and made of plain operators. */
import type { Compilation } from './compilation.ts';
import type { GraphNode } from './graph-node.ts';
import type { Known } from './known.ts';
import type { Operator } from './layout-operators.ts';
import { isSame } from './norm-operators.ts';
import { positionTable } from './position-table.ts';
import { damaged, unsupported } from './refusal.ts';
import type { Hidden, RotaryTerm, Size, Value } from './value.ts';
import { headsOf } from './view.ts';

export interface RotaryTables {
  /** [position, rotaryDim / 2] */
  readonly cos: Float32Array;
  readonly sin: Float32Array;
  readonly half: number;
}

/** Positions of the new tokens. */
export const newPositions = ({ tokens, past }: Size) => Array.from({ length: tokens }, (_, i) => past + i);

/** Tables [position, half] of which a row is read for each position. */
export function constantTables(compilation: Compilation, cos: Value, sin: Value, label: string): RotaryTables {
  const [c, s] = [cos, sin].map((value) => {
    const tensor = value.kind === 'known' ? compilation.fixed(value) : undefined;
    if (!tensor || value.kind !== 'known' || tensor.dims.length !== 2)
      throw unsupported(`${label}: its tables are not constants by position`);
    return { tensor, value };
  }) as [
    { tensor: ReturnType<Compilation['fixed']> & object; value: Known },
    { tensor: ReturnType<Compilation['fixed']> & object; value: Known },
  ];
  if (c.tensor.dims.join() !== s.tensor.dims.join()) throw damaged(`${label} has tables of different shapes`);
  const [rows, half] = c.tensor.dims as [number, number];
  if (rows < 1 || half < 1) throw damaged(`${label} has empty tables`);
  compilation.tablePositions = Math.min(compilation.tablePositions, rows);
  const table = ({ tensor, value }: typeof c) => compilation.vector(value, tensor.data.length, label);
  return { cos: table(c), sin: table(s), half };
}

/** Rows [new token, half], or [new token, two equal halves], computed for each position of the context. */
function computedTable(
  compilation: Compilation,
  known: Known,
  isDoubled: boolean,
  label: string,
): { table: Float32Array; half: number } {
  const width = known.at({ tokens: 3, past: 4 }).dims.at(-1) ?? 0;
  const half = isDoubled ? width / 2 : width;
  const { positions, data } = positionTable(compilation, known, width, label);
  if (!isDoubled) return { table: compilation.shared(data), half };
  const table = compilation.derived(`half ${known.id} ${positions}`, () => {
    const halves = new Float32Array(positions * half);
    for (let row = 0; row < positions; row++) halves.set(data.subarray(row * width, row * width + half), row * half);
    return halves;
  });
  const isTwice = data.every((value, i) => value === table[Math.floor(i / width) * half + ((i % width) % half)]);
  if (!Number.isInteger(half) || !isTwice) throw unsupported(`${label}: its tables are not two equal halves`);
  return { table: compilation.shared(table), half };
}

interface Rotation extends RotaryTables {
  readonly heads: number;
  readonly headDim: number;
  readonly isInterleaved: boolean;
}

/** Turns a copy of the value's heads. @throws AppError when the tables are wider than a head. */
export function rotate(compilation: Compilation, value: Hidden, rotation: Rotation, label: string): Hidden {
  const { heads, headDim, half, isInterleaved, cos, sin } = rotation;
  if (half < 1 || half * 2 > headDim) throw damaged(`${label} turns ${half * 2} numbers of heads of ${headDim}`);
  if (heads * headDim !== countWidth(value))
    throw damaged(`${label} has ${heads} heads of ${headDim} for rows of ${countWidth(value)}`);
  const { builder } = compilation;
  const result = builder.copy(value, label);
  builder.add({ op: 'rotary', at: result.slice, heads, headDim, rotaryDim: half * 2, isInterleaved, cos, sin });
  return result;
}

function countWidth({ axes }: Hidden): number {
  return axes.reduce((count, { size }) => count * size, 1);
}

interface Positions {
  readonly x: number;
  readonly cos: number;
  readonly sin: number;
  readonly positions: number;
}

function rotaryEmbedding(at: Positions): Operator {
  return (node, compilation) => {
    const value = node.hidden(at.x);
    const rotaryDim = node.int('rotary_embedding_dim', 0);
    if (node.float('scale', 1) !== 1) throw node.refused('a scale of its angles is not known');
    const tables = tablesOf(node, at, compilation);
    if (rotaryDim && rotaryDim !== tables.half * 2)
      throw damaged(`${node.label} has tables for ${tables.half * 2} numbers`);
    const rank = value.axes.filter((axis) => axis.size > 1 && !axis.isToken).length;
    const seen = rank > 1 ? headsOf(value.axes) : undefined;
    const width = countWidth(value);
    const heads = seen?.heads ?? (node.int('num_heads', 0) || (rotaryDim ? 0 : width / (tables.half * 2)));
    if (!Number.isInteger(heads) || heads < 1) throw node.refused('it does not say how many heads there are');
    const isInterleaved = node.int('interleaved', 0) === 1;
    return rotate(compilation, value, { ...tables, heads, headDim: width / heads, isInterleaved }, node.label);
  };
}

function tablesOf(node: GraphNode, at: Positions, compilation: Compilation): RotaryTables {
  const [cos, sin] = [node.required(at.cos), node.required(at.sin)];
  const positions = node.input(at.positions);
  if (positions) {
    if (positions.kind !== 'known') throw node.refused('its positions depend on the text');
    const isOffset = positions.at({ tokens: 3, past: 4 }).data.length === 1;
    if (!compilation.isAlways(positions, isOffset ? ({ past }) => [past] : newPositions))
      throw node.refused('its positions are not those of the tokens');
    return constantTables(compilation, cos, sin, node.label);
  }
  if (cos.kind !== 'known' || sin.kind !== 'known') throw node.refused('its tables depend on the text');
  const c = computedTable(compilation, cos, false, node.label);
  return { cos: c.table, sin: computedTable(compilation, sin, false, node.label).table, half: c.half };
}

/** x * cos, or (-x2, x1) * sin; undefined for other products. */
export function rotaryTerm(value: Value, by: Value, compilation: Compilation): RotaryTerm | undefined {
  if (by.kind !== 'known' || by.isConstant) return undefined;
  if (value.kind === 'turned') return { kind: 'rotaryTerm', base: value.base, by: 'sin', table: by };
  if (value.kind !== 'hidden' || compilation.fixed(by)) return undefined;
  const { dims, data } = by.at({ tokens: 3, past: 4 });
  const width = value.axes.at(-1)?.size ?? 0;
  const isTable = width > 1 && dims.at(-1) === width && data.length === 3 * width && !data.every((x) => x === 1);
  return isTable ? { kind: 'rotaryTerm', base: value, by: 'cos', table: by } : undefined;
}

export function rotarySum(node: GraphNode, a: Value, b: Value, compilation: Compilation): Hidden | undefined {
  if (a.kind !== 'rotaryTerm' || b.kind !== 'rotaryTerm') return undefined;
  const [cos, sin] = a.by === 'cos' ? [a, b] : [b, a];
  const shape = headsOf(cos.base.axes);
  if (cos.by !== 'cos' || sin.by !== 'sin' || !isSame(cos.base, sin.base) || !shape)
    throw node.refused('it adds two products with tables that are no rotary embedding');
  const [c, s] = [cos, sin].map(({ table }) => computedTable(compilation, table, true, node.label));
  const tables = { cos: c!.table, sin: s!.table, half: c!.half };
  return rotate(compilation, cos.base, { ...tables, ...shape, isInterleaved: false }, node.label);
}

/** (-x2, x1) of two halves of the same heads; undefined for other values. */
export function turnedHalves(parts: readonly Value[]): Value | undefined {
  const [second, first] = parts;
  if (parts.length !== 2 || second?.kind !== 'hidden' || first?.kind !== 'hidden') return undefined;
  const { expression } = second;
  const isNegative = expression?.kind === 'call' && expression.function === 'Neg' && expression.args[0]?.kind === 'x';
  const [high, low] = [second.axes.at(-1), first.axes.at(-1)];
  if (
    !isNegative ||
    first.expression ||
    !high ||
    !low ||
    high.size !== low.size ||
    second.axes.length !== first.axes.length
  )
    return undefined;
  const isNext =
    second.slice.buffer === first.slice.buffer &&
    second.slice.offset === first.slice.offset + low.size &&
    low.stride <= 1;
  if (!isNext) return undefined;
  const axes = [...first.axes.slice(0, -1), { ...low, size: low.size * 2, stride: 1 }];
  const slice = { ...first.slice, width: first.slice.width + low.size };
  return { kind: 'turned', base: { kind: 'hidden', slice, axes } };
}

export const rotaryOperators: Record<string, Operator> = {
  RotaryEmbedding: rotaryEmbedding({ x: 0, cos: 1, sin: 2, positions: 3 }),
  'com.microsoft.RotaryEmbedding': rotaryEmbedding({ x: 0, cos: 2, sin: 3, positions: 1 }),
};

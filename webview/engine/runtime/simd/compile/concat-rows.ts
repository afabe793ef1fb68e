/** Joins parts of rows: where they lie side by side already, that is nothing to do. */
import type { Compilation } from './compilation.ts';
import type { GraphNode } from './graph-node.ts';
import { partOf } from './layout-operators.ts';
import { axisOf } from './tensor.ts';
import type { Hidden, Value } from './value.ts';
import type { Axis } from './view.ts';

/** Rows joined along an axis that is not the token's: copied into one buffer, where they do not lie in one already. */
export function concatHidden(node: GraphNode, compilation: Compilation): Value | undefined {
  const { builder } = compilation;
  const parts = node.inputs.map((_, i) => node.hidden(i));
  const [first] = parts as [Hidden];
  const axis = axisOf(node.int('axis', 0), first.axes.length);
  const size = parts.reduce((sum, part) => sum + (part.axes[axis]?.size ?? 0), 0);
  const isFitting = parts.every(
    ({ axes }) =>
      axes.length === first.axes.length &&
      axes.every(
        (each, i) => i === axis || (each.size === first.axes[i]!.size && each.isToken === first.axes[i]!.isToken),
      ),
  );
  if (!isFitting || first.axes[axis]!.isToken) throw node.refused('it joins tokens, or shapes that do not fit');
  const whole = first.axes.map((each, i) => (i === axis ? { ...each, size } : each));
  const beside = besideOneAnother(parts, axis, whole);
  if (beside) return beside;
  const result = builder.result(whole);
  let start = 0;
  for (const part of parts) {
    const { axes } = part;
    const count = axes[axis]!.size;
    copyInto(partOf(result, axis, start, count), builder.settle(part, node.label), compilation);
    start += count;
  }
  return result;
}

function besideOneAnother(parts: readonly Hidden[], axis: number, whole: readonly Axis[]): Hidden | undefined {
  const [first] = parts as [Hidden];
  let { offset } = first.slice;
  for (const part of parts) {
    const isNext = part.slice.buffer === first.slice.buffer && part.slice.offset === offset && !part.expression;
    const isEven = part.axes.every((each, i) => each.size === 1 || i === axis || each.stride === first.axes[i]!.stride);
    if (!isNext || !isEven || part.axes[axis]!.size * (first.axes[axis]!.stride || 1) === 0) return undefined;
    offset += part.axes[axis]!.size * first.axes[axis]!.stride;
  }
  const width = whole.reduce((reach, each) => reach + (each.size > 1 ? (each.size - 1) * each.stride : 0), 1);
  return { kind: 'hidden', axes: whole, slice: { ...first.slice, width } };
}

/** Both have the same sizes; `from` is dense. */
function copyInto(to: Hidden, from: Hidden, { builder }: Compilation): void {
  const real = to.axes.filter(({ size }) => size > 1);
  const last = real.at(-1);
  const run = last?.stride === 1 ? last.size : 1;
  let starts = [to.slice.offset];
  for (const { size, stride } of run > 1 ? real.slice(0, -1) : real)
    starts = starts.flatMap((start) => Array.from({ length: size }, (_, i) => start + i * stride));
  for (const [piece, offset] of starts.entries())
    builder.add({
      op: 'copy',
      from: { buffer: from.slice.buffer, offset: from.slice.offset + piece * run, width: run },
      to: { buffer: to.slice.buffer, offset, width: run },
    });
}

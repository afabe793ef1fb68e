/** Collects the steps of a plan over buffers that are each written by one step. */
import type { Slice, Step } from '../plan.ts';
import { activationOf, affineOf, type Expression, isActivation } from './expression.ts';
import { unsupported } from './refusal.ts';
import type { Hidden } from './value.ts';
import { type Axis, countOf, isDense } from './view.ts';

/** Steps of a plan, and copies that later passes remove or turn into a product with 1. */
export type DraftStep = Step | { readonly op: 'copy'; readonly from: Slice; readonly to: Slice };

/** More pieces than a value with heads has are a layout that this runtime was not made for. */
const mostPieces = 512;

const arithmetic: Record<string, 'add' | 'subtract' | 'multiply' | 'divide'> = {
  Add: 'add',
  Sub: 'subtract',
  Mul: 'multiply',
  Div: 'divide',
};

export class Builder {
  readonly steps: DraftStep[] = [];
  /** Floats in a row of each buffer. */
  readonly widths: number[] = [];
  readonly #settled = new Map<string, Hidden>();

  buffer(width: number): Slice {
    this.widths.push(width);
    return { buffer: this.widths.length - 1, offset: 0, width };
  }

  add(step: DraftStep): void {
    this.steps.push(step);
  }

  /** A buffer for a result as wide as the axes, with which it is described. */
  result(axes: readonly Axis[]): Hidden {
    const slice = this.buffer(countOf(axes));
    let stride = slice.width;
    const dense = axes.map((axis) => {
      if (axis.isToken && axis.size === 1) return axis;
      stride /= axis.size;
      return axis.size > 1 ? { ...axis, stride } : axis;
    });
    return { kind: 'hidden', slice, axes: dense };
  }

  /** The value as numbers that lie beside each other in a row. @throws AppError when no step computes its function. */
  settle(value: Hidden, label: string): Hidden {
    const { slice } = value;
    const expression = value.expression?.kind === 'x' ? undefined : value.expression;
    if (!expression && isDense(value.axes)) return { kind: value.kind, slice, axes: value.axes };
    const key = JSON.stringify([slice, value.axes.map(({ size, stride }) => [size, stride]), expression]);
    const known = this.#settled.get(key);
    if (known) return { ...known, axes: value.axes.map((axis, i) => ({ ...axis, stride: known.axes[i]!.stride })) };
    const dense = isDense(value.axes) ? value : this.#compact(value, label);
    const result = expression
      ? { ...dense, slice: this.#compute(dense.slice, expression, label), expression: undefined }
      : dense;
    const { expression: _, ...settled } = result;
    this.#settled.set(key, settled);
    return settled;
  }

  /** A copy that may be changed in place. */
  copy(value: Hidden, label: string): Hidden {
    const settled = this.settle(value, label);
    const to = this.buffer(settled.slice.width);
    this.add({ op: 'copy', from: settled.slice, to });
    return { ...settled, slice: to };
  }

  #compact(value: Hidden, label: string): Hidden {
    const result = this.result(value.axes);
    const real = value.axes.filter(({ size }) => size > 1);
    const last = real.at(-1);
    const isRun = last?.stride === 1;
    const outer = isRun ? real.slice(0, -1) : real;
    const width = isRun ? last.size : 1;
    if (result.slice.width / width > mostPieces)
      throw unsupported(`${label}: the numbers of its input lie in too many pieces`);
    let starts = [value.slice.offset];
    for (const { size, stride } of outer)
      starts = starts.flatMap((start) => Array.from({ length: size }, (_, i) => start + i * stride));
    for (const [piece, offset] of starts.entries())
      this.add({
        op: 'copy',
        from: { buffer: value.slice.buffer, offset, width },
        to: { buffer: result.slice.buffer, offset: piece * width, width },
      });
    return { ...result, ...(value.expression && { expression: value.expression }) };
  }

  /** Steps for a function of every number; parts that occur twice are computed once. */
  #compute(from: Slice, expression: Expression, label: string): Slice {
    const done = new Map<string, Slice>();
    const visit = (part: Expression): Slice => {
      const key = JSON.stringify(part);
      const known = done.get(key);
      if (known) return known;
      const slice = this.#step(from, part, visit, label);
      done.set(key, slice);
      return slice;
    };
    return visit(expression);
  }

  #step(from: Slice, part: Expression, visit: (part: Expression) => Slice, label: string): Slice {
    if (part.kind === 'x') return from;
    if (part.kind === 'number') throw unsupported(`${label}: a number stands where a value is expected`);
    const activation = activationOf(part);
    if (activation) return this.#unary(activation, from);
    const affine = affineOf(part);
    if (affine) return this.#affine(from, affine);
    const [left, right] = part.args;
    if (isActivation(part.function)) return this.#unary(part.function, visit(left!));
    if (part.function === 'Neg') return this.#binary('multiply', visit(left!), -1);
    if (part.function === 'Pow' && right?.kind === 'number' && right.value === 2)
      return this.#binary('multiply', visit(left!), visit(left!));
    const name = arithmetic[part.function];
    if (!name || !left || !right) throw unsupported(`${label}: it needs ${part.function} of every number`);
    if (right.kind === 'number') return this.#binary(name, visit(left), right.value);
    if (left.kind !== 'number') return this.#binary(name, visit(left), visit(right));
    if (name === 'add' || name === 'multiply') return this.#binary(name, visit(right), left.value);
    if (name === 'subtract') return this.#binary('add', this.#binary('multiply', visit(right), -1), left.value);
    throw unsupported(`${label}: it divides a number by every number of a value`);
  }

  #affine(from: Slice, { factor, offset }: { factor: number; offset: number }): Slice {
    const scaled = factor === 1 ? from : this.#binary('multiply', from, factor);
    return offset === 0 ? scaled : this.#binary('add', scaled, offset);
  }

  #unary(name: Extract<Step, { op: 'unary' }>['function'], from: Slice): Slice {
    const to = this.buffer(from.width);
    this.add({ op: 'unary', function: name, from, to });
    return to;
  }

  #binary(name: Extract<Step, { op: 'binary' }>['function'], left: Slice, right: Slice | number): Slice {
    const to = this.buffer(left.width);
    this.add({ op: 'binary', function: name, left, right, to });
    return to;
  }
}

/** Whether the steps of a plan stay within their buffers, weights and tables: kernels do not look. */
import { expect } from 'vitest';
import type { Plan, Slice, Step } from '../../../webview/engine/runtime/simd/plan.ts';

/** `contextLength`: positions that will be asked for at most. */
export function expectWithinBounds(plan: Plan, contextLength: number): void {
  const check = (isRight: boolean, step: Step) => {
    if (!isRight) expect.fail(`${step.op} reaches too far: ${JSON.stringify(step, shortened)}`);
  };
  const fits = ({ buffer, offset, width }: Slice, least = 1) =>
    offset >= 0 && width >= least && offset + width <= (plan.buffers[buffer] ?? 0);
  const positions = Math.min(contextLength, plan.maxPositions);
  for (const step of plan.steps) check(isWithin(step, fits, plan, positions), step);
  expect(fits(plan.logits, plan.vocabSize)).toBe(true);
  expect(positions).toBeGreaterThan(0);
}

function shortened(_: string, value: unknown): unknown {
  return value instanceof Float32Array || value instanceof Uint8Array ? `${value.length} numbers` : value;
}

type Fits = (slice: Slice, least?: number) => boolean;

function isWithin(step: Step, fits: Fits, plan: Plan, positions: number): boolean {
  const has = (vector: Float32Array | undefined, count: number) => !vector || vector.length >= count;
  switch (step.op) {
    case 'embed': {
      const rows = step.by === 'token' ? plan.vocabSize : positions;
      return fits(step.to, step.table.columns) && step.table.rows >= rows;
    }
    case 'norm': {
      const { from, add, addBias, sum, groups, weight, bias, to } = step;
      const { width } = from;
      const size = width / groups;
      const slices = [from, to, ...(add ? [add] : []), ...(sum ? [sum] : [])];
      const vectors = has(addBias, width) && has(weight, size) && has(bias, size);
      return Number.isInteger(size) && slices.every((slice) => fits(slice) && slice.width === width) && vectors;
    }
    case 'linear': {
      const { from, weight, bias, to } = step;
      const isRight = from.width === weight.columns && to.width === weight.rows && has(bias, weight.rows);
      return fits(from) && fits(to) && isRight;
    }
    case 'rotary': {
      const { at, heads, headDim, rotaryDim, cos, sin } = step;
      const numbers = (positions * rotaryDim) / 2;
      const tables = has(cos, numbers) && has(sin, numbers);
      return fits(at, heads * headDim) && rotaryDim >= 2 && rotaryDim <= headDim && rotaryDim % 2 === 0 && tables;
    }
    case 'attention': {
      const { layer, query, key, value, heads, kvHeads, headDim, sinks, residual, to } = step;
      const isPlan = layer >= 0 && layer < plan.layers && heads === plan.heads && kvHeads === plan.kvHeads;
      const own = [query, to].every((slice) => fits(slice, heads * headDim));
      const cached = [key, value].every((slice) => fits(slice, kvHeads * headDim));
      return isPlan && headDim === plan.headDim && own && cached && has(sinks, heads) && (!residual || fits(residual));
    }
    case 'unary':
      return fits(step.to) && fits(step.from, step.to.width);
    case 'glu':
      return fits(step.to) && [step.gate, step.up].every((slice) => fits(slice, step.to.width));
    case 'binary': {
      const { left, right, to } = step;
      if (!fits(to) || !fits(left, to.width)) return false;
      return (
        typeof right === 'number' || (right instanceof Float32Array ? has(right, to.width) : fits(right, to.width))
      );
    }
    case 'select':
      return step.buffers.every((buffer) => buffer in plan.buffers);
  }
}

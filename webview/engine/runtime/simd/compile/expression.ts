/**
 * Functions of one number that a graph spells out in plain operators. What they are is told by their values, so that every
 * spelling of an activation is recognised.
 */
import type { Activation } from '../plan.ts';
import { unsupported } from './refusal.ts';

export type Expression =
  | { readonly kind: 'x' }
  | { readonly kind: 'number'; readonly value: number }
  | {
      readonly kind: 'call';
      readonly function: string;
      readonly args: readonly Expression[];
      /** Numbers, operators and x in it. */
      readonly size: number;
    };

/** Operators on one number that a graph may write; squares of squares double their number each time. */
const mostOperators = 1000;

export const x: Expression = { kind: 'x' };

export function call(name: string, ...args: readonly Expression[]): Expression {
  const size = args.reduce((sum, arg) => sum + (arg.kind === 'call' ? arg.size : 1), 1);
  if (size > mostOperators) throw unsupported(`it computes a function of ${size} operators of every number`);
  return { kind: 'call', function: name, args, size };
}

export function number(value: number): Expression {
  return { kind: 'number', value };
}

/** Operators by the name that ONNX gives them, and activations by the name that plans give them. */
const functions: Record<string, (a: number, b: number) => number> = {
  Add: (a, b) => a + b,
  Sub: (a, b) => a - b,
  Mul: (a, b) => a * b,
  Div: (a, b) => a / b,
  Pow: (a, b) => a ** b,
  Min: Math.min,
  Max: Math.max,
  Neg: (a) => -a,
  Abs: Math.abs,
  Sqrt: Math.sqrt,
  Exp: Math.exp,
  Reciprocal: (a) => 1 / a,
  Erf: erf,
  silu: (a) => a / (1 + Math.exp(-a)),
  gelu: (a) => 0.5 * a * (1 + erf(a / Math.SQRT2)),
  'gelu-tanh': (a) => 0.5 * a * (1 + Math.tanh(Math.sqrt(2 / Math.PI) * (a + 0.044715 * a ** 3))),
  'gelu-quick': (a) => a / (1 + Math.exp(-1.702 * a)),
  relu: (a) => Math.max(0, a),
  sigmoid: (a) => 1 / (1 + Math.exp(-a)),
  tanh: Math.tanh,
};

const activations: readonly Activation[] = ['silu', 'gelu', 'gelu-tanh', 'gelu-quick', 'relu', 'sigmoid', 'tanh'];

export function isActivation(name: string): name is Activation {
  return (activations as readonly string[]).includes(name);
}

/** Abramowitz and Stegun 7.1.26: within 1.5e-7. */
function erf(value: number): number {
  const t = 1 / (1 + 0.3275911 * Math.abs(value));
  const polynomial = t * (0.254829592 + t * (-0.284496736 + t * (1.421413741 + t * (-1.453152027 + t * 1.061405429))));
  return Math.sign(value) * (1 - polynomial * Math.exp(-value * value));
}

function evaluate(expression: Expression, at: number): number {
  if (expression.kind === 'x') return at;
  if (expression.kind === 'number') return expression.value;
  const [a = 0, b = 0] = expression.args.map((arg) => evaluate(arg, at));
  return functions[expression.function]?.(a, b) ?? Number.NaN;
}

const samples = Array.from({ length: 61 }, (_, i) => (i - 30) * 0.29 + 0.013);

/** Constants rounded to float16 take values further apart than float32 does, and gelu and its tanh form are 5e-4 apart. */
const tolerance = 5e-5;

export function activationOf(expression: Expression): Activation | undefined {
  const values = samples.map((at) => evaluate(expression, at));
  return activations.find((name) =>
    samples.every((at, i) => Math.abs(functions[name]!(at, 0) - values[i]!) <= tolerance * (1 + Math.abs(at))),
  );
}

/** factor * x + offset, exactly enough. */
export function affineOf(expression: Expression): { factor: number; offset: number } | undefined {
  const offset = evaluate(expression, 0);
  const factor = evaluate(expression, 1) - offset;
  const isAffine = samples.every((at) => {
    const expected = factor * at + offset;
    return Math.abs(evaluate(expression, at) - expected) <= 1e-9 * (Math.abs(expected) + 1e-3);
  });
  return isAffine && Number.isFinite(factor) ? { factor, offset } : undefined;
}

/** Activations and roundings in float64, for tests to compare with. */
import type { Activation } from '../../../webview/engine/runtime/simd/plan.ts';

export function activate(name: Activation, x: number): number {
  switch (name) {
    case 'silu':
      return x * sigmoid(x);
    case 'gelu':
      return 0.5 * x * erfc(-x / Math.SQRT2);
    case 'gelu-tanh':
      return 0.5 * x * (1 + Math.tanh(Math.sqrt(2 / Math.PI) * (x + 0.044715 * x ** 3)));
    case 'gelu-quick':
      return x * sigmoid(1.702 * x);
    case 'relu':
      return Math.max(0, x);
    case 'sigmoid':
      return sigmoid(x);
    case 'tanh':
      return Math.tanh(x);
  }
}

function sigmoid(x: number): number {
  return 1 / (1 + Math.exp(-x));
}

/** A Maclaurin series near 0, a continued fraction further out: https://dlmf.nist.gov/7.6.E2, https://dlmf.nist.gov/7.9.E1 */
function erfc(x: number): number {
  if (x < 0) return 2 - erfc(-x);
  if (x < 2.5) {
    let [term, sum] = [x, x];
    for (let n = 1; Math.abs(term) > 1e-18; n++) {
      term *= (2 * x * x) / (2 * n + 1);
      sum += term;
    }
    return 1 - (2 / Math.sqrt(Math.PI)) * Math.exp(-x * x) * sum;
  }
  let fraction = x;
  for (let n = 100; n > 0; n--) fraction = x + n / 2 / fraction;
  return Math.exp(-x * x) / Math.sqrt(Math.PI) / fraction;
}

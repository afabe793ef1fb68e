/** Distances and sizes of distributions and vectors, in bits, safe for zeros and for logits of any size. */
import { AppError } from '../app-error.ts';

/** ln softmax of finite logits or -∞ (an impossible token); float64. Throws `bad-input` for NaN, +∞ or nothing possible. */
export function logSoftmax(logits: ArrayLike<number>): Float64Array<ArrayBuffer> {
  let largest = -Infinity;
  for (let id = 0; id < logits.length; id++) {
    const logit = logits[id]!;
    if (Number.isNaN(logit) || logit === Infinity) refuse(`Logit ${id} is ${logit}.`);
    if (logit > largest) largest = logit;
  }
  if (largest === -Infinity) refuse('No token is possible.');
  let sum = 0;
  for (let id = 0; id < logits.length; id++) sum += Math.exp(logits[id]! - largest);
  const logSum = Math.log(sum);
  // In this order: beside a logit of 1e30 the logarithm of the sum would be lost.
  return Float64Array.from(logits, (logit) => logit - largest - logSum);
}

/** -Σ p log2 p of ln p, in bits, 0..log2(length). */
export function entropyBits(logs: ArrayLike<number>): number {
  let nats = 0;
  for (let id = 0; id < logs.length; id++) if (logs[id]! > -Infinity) nats -= Math.exp(logs[id]!) * logs[id]!;
  return Math.max(0, nats / Math.LN2);
}

/**
 * The Kullback-Leibler divergence Σ p log2(p / q) of ln p from ln q in bits, 0..∞: ∞ where q rules out what p allows.
 * Kullback and Leibler 1951, https://doi.org/10.1214/aoms/1177729694.
 */
export function divergenceBits(p: ArrayLike<number>, q: ArrayLike<number>): number {
  if (p.length !== q.length) refuse(`Distributions over ${p.length} and ${q.length} tokens cannot be compared.`);
  let nats = 0;
  for (let id = 0; id < p.length; id++) if (p[id]! > -Infinity) nats += Math.exp(p[id]!) * (p[id]! - q[id]!);
  return Math.max(0, nats / Math.LN2);
}

/**
 * The Jensen-Shannon divergence of two distributions in bits, 0..1 and symmetric. J. Lin 1991,
 * https://doi.org/10.1109/18.61115. Probabilities, not logarithms; each sums to 1.
 */
export function jensenShannonBits(p: ArrayLike<number>, q: ArrayLike<number>): number {
  if (p.length !== q.length) refuse(`Rows of ${p.length} and ${q.length} keys cannot be compared.`);
  let nats = 0;
  for (let index = 0; index < p.length; index++) {
    const [a, b] = [p[index]!, q[index]!];
    const middle = (a + b) / 2;
    const ofA = a > 0 ? a * Math.log(a / middle) : 0;
    const ofB = b > 0 ? b * Math.log(b / middle) : 0;
    nats += (ofA + ofB) / 2;
  }
  return Math.min(1, Math.max(0, nats / Math.LN2));
}

/** 1 - cos of the angle, 0..2. Two zero vectors are at distance 0; a zero vector and another at 1. */
export function cosineDistance(a: ArrayLike<number>, b: ArrayLike<number>): number {
  let product = 0;
  let squareA = 0;
  let squareB = 0;
  let isEqual = a.length === b.length;
  for (let index = 0; index < a.length; index++) {
    product += a[index]! * b[index]!;
    squareA += a[index]! ** 2;
    squareB += b[index]! ** 2;
    if (a[index] !== b[index]) isEqual = false;
  }
  if (isEqual) return 0;
  if (squareA === 0 || squareB === 0) return 1;
  return Math.min(2, Math.max(0, 1 - product / Math.sqrt(squareA) / Math.sqrt(squareB)));
}

function refuse(cause: string): never {
  throw new AppError('bad-input', `${cause} Run the model again; if it stays so, its weights are damaged.`);
}

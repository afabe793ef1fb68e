/** What a change does to the prediction of one position: formulas in docs/causal-tests.md. Sums are float64. */
import type { EffectMeasure } from '../../../../src/shared/causal-contract.ts';

/** The measure of logits [vocabSize]; of `kl` their divergence from `original`: KL(original || logits) in bits. */
export function measureLogits(measure: EffectMeasure, logits: Float32Array, original: Float32Array): number {
  if (measure.kind === 'probability') return Math.exp(logits[measure.token]! - logSumExp(logits));
  if (measure.kind === 'logit-difference') return logits[measure.token]! - logits[measure.against]!;
  return divergenceBits(original, logits);
}

/** Kullback and Leibler 1951: sum of p log2(p / q), p and q being the softmaxes of the logits; never below 0. */
export function divergenceBits(p: Float32Array, q: Float32Array): number {
  const [sumP, sumQ] = [logSumExp(p), logSumExp(q)];
  let nats = 0;
  for (let i = 0; i < p.length; i++) {
    const logP = p[i]! - sumP;
    if (logP > Number.NEGATIVE_INFINITY) nats += Math.exp(logP) * (logP - (q[i]! - sumQ));
  }
  return Math.max(0, nats) / Math.LN2;
}

function logSumExp(logits: Float32Array): number {
  let max = Number.NEGATIVE_INFINITY;
  for (const logit of logits) if (logit > max) max = logit;
  let sum = 0;
  for (const logit of logits) sum += Math.exp(logit - max);
  return max + Math.log(sum);
}

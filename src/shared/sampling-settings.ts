/**
 * Every sampling parameter once: its schema, default, range and what it does. The playground's controls, the settings
 * of prompt files and the sampler all read this table.
 */
import * as v from 'valibot';

const finite = v.pipe(v.number(), v.finite());
const between = (low: number, high: number) => v.pipe(finite, v.minValue(low), v.maxValue(high));
const wholeBetween = (low: number, high: number) => v.pipe(between(low, high), v.integer());

export const samplingSchema = v.object({
  /** 0 is greedy: the most probable token, always. */
  temperature: between(0, 5),
  /** Keep the k most probable tokens; 0 keeps all. */
  topK: wholeBetween(0, 100_000),
  /** Keep the smallest set whose probability reaches p (nucleus, arXiv:1904.09751); 1 keeps all. */
  topP: between(0, 1),
  /** Keep tokens with at least this share of the largest probability (arXiv:2407.01082); 0 keeps all. */
  minP: between(0, 1),
  /** Divides positive and multiplies negative logits of tokens seen before (CTRL, arXiv:1909.05858); 1 is off. */
  repetitionPenalty: between(0.5, 3),
  /** Subtracted from a logit once per earlier occurrence in the answer; 0 is off. */
  frequencyPenalty: between(-2, 2),
  /** Subtracted once from the logit of every token that occurs in the answer; 0 is off. */
  presencePenalty: between(-2, 2),
  /** The same seed gives the same text on WASM. Absent: a random one, which the result reports. */
  seed: v.optional(wholeBetween(0, 0xffff_ffff)),
  /** Token id -> number added to its logit before anything else. -100 or less forbids the token. */
  logitBias: v.optional(v.record(v.string(), between(-100, 100))),
  maxTokens: wholeBetween(1, 100_000),
  /** The answer ends before the first of these; they may begin and end inside tokens. */
  stop: v.array(v.pipe(v.string(), v.minLength(1))),
});

export type SamplingSettings = v.InferOutput<typeof samplingSchema>;

export const defaultSampling: SamplingSettings = {
  temperature: 0.2,
  topK: 0,
  topP: 0.9,
  minP: 0,
  repetitionPenalty: 1.1,
  frequencyPenalty: 0,
  presencePenalty: 0,
  maxTokens: 256,
  stop: [],
};

export const greedySampling: SamplingSettings = {
  ...defaultSampling,
  temperature: 0,
  topP: 1,
  repetitionPenalty: 1,
};

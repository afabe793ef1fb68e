/**
 * What a causal test is told and what it says: plain JSON that carries all that is needed to do it again. Heads count
 * from 0, positions are those of the tokens, layer windows include both ends.
 */
import * as v from 'valibot';

const count = v.pipe(v.number(), v.integer(), v.minValue(0));
const ids = v.array(count);

export const headSchema = v.object({ layer: count, head: count });
export type HeadRef = v.InferOutput<typeof headSchema>;

/** `last`: the position whose prediction is measured; `all`: all up to it. */
const positionsSchema = v.union([v.picklist(['all', 'last']), v.pipe(ids, v.minLength(1))]);

const texts = v.pipe(v.array(v.pipe(ids, v.minLength(1))), v.minLength(1));
const zero = { kind: v.literal('zero'), positions: positionsSchema };
const mean = {
  kind: v.literal('mean'),
  positions: positionsSchema,
  /** The texts whose outputs are averaged, as tokens. */
  reference: texts,
  /** The mean of each position over the texts that have it, or one mean over all positions of all texts. */
  over: v.picklist(['position', 'all-positions']),
};
const resample = {
  kind: v.literal('resample'),
  positions: positionsSchema,
  /** One of them is drawn; of another length, its positions are stretched over those of the text. */
  reference: texts,
  seed: count,
};
const patch = {
  kind: v.literal('patch'),
  positions: positionsSchema,
  /** The text whose outputs are put in, of equal length. */
  source: v.pipe(ids, v.minLength(1)),
  /** What the caller says of the two: `noise` puts a corrupted text into a clean run, `denoise` the other way round. */
  direction: v.picklist(['noise', 'denoise']),
};

const heads = v.pipe(v.array(headSchema), v.minLength(1));

export const causalOperationSchema = v.variant('kind', [
  v.object({ ...zero, heads }),
  v.object({ ...mean, heads }),
  v.object({ ...resample, heads }),
  v.object({ ...patch, heads }),
  v.object({
    kind: v.literal('knock-out'),
    edges: v.pipe(v.array(v.tuple([count, count])), v.minLength(1)), // [query, key]
    layers: v.tuple([count, count]),
    /** Absent: all heads of these layers. */
    heads: v.optional(v.pipe(ids, v.minLength(1))),
  }),
]);
export type CausalOperation = v.InferOutput<typeof causalOperationSchema>;

/** What is done to each head in turn. */
export const headOperationSchema = v.variant('kind', [
  v.object(zero),
  v.object(mean),
  v.object(resample),
  v.object(patch),
]);
export type HeadOperation = v.InferOutput<typeof headOperationSchema>;

export const effectMeasureSchema = v.variant('kind', [
  v.object({ kind: v.literal('probability'), token: count }),
  /** logit(token) - logit(against) */
  v.object({ kind: v.literal('logit-difference'), token: count, against: count }),
  /** KL(original || changed) of the next token, in bits. */
  v.object({ kind: v.literal('kl') }),
]);
export type EffectMeasure = v.InferOutput<typeof effectMeasureSchema>;

export const controlRequestSchema = v.object({
  /** How many random sets of heads, or of edges. */
  sets: v.pipe(count, v.maxValue(1000)),
  seed: count,
});
export type ControlRequest = v.InferOutput<typeof controlRequestSchema>;

const arithmeticSchema = v.picklist(['int8', 'float32']);

const controlSchema = v.object({
  ...controlRequestSchema.entries,
  /** As many heads of the same layers as were tested, none of those; or edges of the same distances. */
  heads: v.optional(v.array(v.array(headSchema))),
  edges: v.optional(v.array(v.array(v.tuple([count, count])))),
  effects: v.array(v.number()),
  /** Of `effects`: their mean, and their 2.5 % and 97.5 % quantiles. Absent where there are none. */
  mean: v.optional(v.number()),
  low: v.optional(v.number()),
  high: v.optional(v.number()),
  /** Why there are fewer than asked for: a sentence. */
  note: v.optional(v.string()),
});
export type Control = v.InferOutput<typeof controlSchema>;

const setting = {
  modelId: v.string(),
  runtime: v.string(),
  arithmetic: arithmeticSchema,
  /** All that the model read. */
  tokens: ids,
  /** The position whose prediction of the next token is measured; what follows it does not matter. */
  at: count,
  measure: effectMeasureSchema,
  /** What `effect` is: the number after the change less the number before, or a divergence. */
  direction: v.picklist(['changed - original', 'KL(original || changed)']),
  /** FNV-1a, 64 bits, of the reference set or the source. */
  referenceHash: v.optional(v.string()),
  /** Number of the text that `resample` drew, and whether its length is another. */
  drawn: v.optional(v.object({ text: count, isStretched: v.boolean() })),
  /** The measure without a change; of `kl` 0. */
  original: v.number(),
  /** The measure on the source of a patch. */
  source: v.optional(v.number()),
};

export const causalRecordSchema = v.object({
  kind: v.literal('causal-test'),
  ...setting,
  operation: causalOperationSchema,
  changed: v.number(),
  effect: v.number(),
  control: controlSchema,
});
export type CausalRecord = v.InferOutput<typeof causalRecordSchema>;

export const headRankingSchema = v.object({
  kind: v.literal('head-ranking'),
  ...setting,
  operation: headOperationSchema,
  controlRequest: controlRequestSchema,
  /** The greatest effect first, by its absolute value. */
  entries: v.array(
    v.object({ ...headSchema.entries, changed: v.number(), effect: v.number(), control: controlSchema }),
  ),
});
export type HeadRanking = v.InferOutput<typeof headRankingSchema>;

export const causalProgressSchema = v.object({ done: count, total: count });

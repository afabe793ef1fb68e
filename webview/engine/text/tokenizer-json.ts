/** The parts of `tokenizer.json` and `tokenizer_config.json` that the engine reads, checked. */
import * as v from 'valibot';
import { AppError } from '../../../src/shared/app-error.ts';

const id = v.pipe(v.number(), v.integer(), v.minValue(0));

const addedTokenSchema = v.object({
  id,
  content: v.pipe(v.string(), v.minLength(1)),
  single_word: v.optional(v.boolean(), false),
  lstrip: v.optional(v.boolean(), false),
  rstrip: v.optional(v.boolean(), false),
  normalized: v.optional(v.boolean(), false),
  special: v.optional(v.boolean(), false),
});
export type AddedToken = v.InferOutput<typeof addedTokenSchema>;

const tokenizerJsonSchema = v.looseObject({
  added_tokens: v.optional(v.array(addedTokenSchema), []),
  normalizer: v.optional(v.unknown(), null),
  pre_tokenizer: v.optional(v.unknown(), null),
  post_processor: v.optional(v.unknown(), null),
  decoder: v.optional(v.unknown(), null),
  model: v.looseObject({
    type: v.optional(v.string()),
    vocab: v.union([v.record(v.string(), id), v.array(v.looseTuple([v.string(), v.number()]))]),
  }),
});
export type TokenizerJson = v.InferOutput<typeof tokenizerJsonSchema>;

const specialSchema = v.nullish(v.union([v.string(), v.looseObject({ content: v.string() })]));
const templateSchema = v.union([v.string(), v.array(v.object({ name: v.string(), template: v.string() }))]);

const tokenizerConfigSchema = v.looseObject({
  bos_token: specialSchema,
  eos_token: specialSchema,
  unk_token: specialSchema,
  sep_token: specialSchema,
  pad_token: specialSchema,
  cls_token: specialSchema,
  mask_token: specialSchema,
  chat_template: v.nullish(templateSchema),
});
export type TokenizerConfig = v.InferOutput<typeof tokenizerConfigSchema>;

export function parseTokenizerJson(value: unknown): TokenizerJson {
  return check(tokenizerJsonSchema, value, 'tokenizer.json');
}

export function parseTokenizerConfig(value: unknown): TokenizerConfig {
  return check(tokenizerConfigSchema, value, 'tokenizer_config.json');
}

function check<S extends v.GenericSchema>(schema: S, value: unknown, file: string): v.InferOutput<S> {
  const parsed = v.safeParse(schema, value);
  if (parsed.success) return parsed.output;
  const [issue] = parsed.issues;
  const where = v.getDotPath(issue) ?? 'the file';
  throw new AppError(
    'model-damaged',
    `${file} is not what it should be (${where}: ${issue.message}). Reload the model.`,
  );
}

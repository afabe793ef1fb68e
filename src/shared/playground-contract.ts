/**
 * What the Playground page and its controller say to each other, and the draft that both keep: everything a playground
 * holds, so that a reload, a closed tab or a dead engine loses nothing.
 */
import * as v from 'valibot';
import { wireErrorSchema } from './app-error.ts';
import { engineMethods, generateSchema, promptInputSchema, tokenStepSchema } from './engine-contract.ts';
import { engineStateSchema } from './engine-state.ts';
import { samplingSchema } from './sampling-settings.ts';

const count = v.pipe(v.number(), v.integer(), v.minValue(0));
const nothing = v.undefined();
const draftId = v.pipe(v.string(), v.regex(/^[a-z0-9-]{1,64}$/));

export const roleSchema = v.picklist(['system', 'user', 'assistant']);
export type Role = v.InferOutput<typeof roleSchema>;

/** A token of an answer: generated, or picked by the user from the alternatives of another version. */
const answerStepSchema = v.object({
  ...tokenStepSchema.entries,
  /** Absent when the filters would not have let the picked token through. */
  logprob: v.optional(v.number()),
  isPicked: v.optional(v.boolean()),
});
export type AnswerStep = v.InferOutput<typeof answerStepSchema>;

const runNumbersSchema = v.object({
  finish: v.picklist(['end', 'stop', 'length', 'context', 'stopped']),
  /** Unknown for an answer that did not come to its end. */
  seed: v.optional(count),
  promptTokens: count,
  cutTokens: count,
  reusedTokens: count,
  computedTokens: count,
  generatedTokens: count,
  queuedMs: v.number(),
  prefillMs: v.number(),
  firstTokenMs: v.number(),
  decodeMs: v.number(),
  neutralised: v.array(v.string()),
});
export type RunNumbers = v.InferOutput<typeof runNumbersSchema>;

/** One text of a message. Running again, branching and editing an answer add a version; earlier ones are kept. */
const versionSchema = v.object({
  id: count,
  /** Text without token details: what a person wrote. The tokens, if any, follow it. */
  prefix: v.string(),
  steps: v.array(answerStepSchema),
  /** Characters at the end of the tokens' text that a stop string cut off. */
  trimmed: v.optional(count),
  status: v.picklist(['written', 'running', 'done', 'stopped', 'failed']),
  error: v.optional(wireErrorSchema),
  numbers: v.optional(runNumbersSchema),
  /** The version and token where this one left another. */
  branch: v.optional(v.object({ from: count, at: count })),
});
export type Version = v.InferOutput<typeof versionSchema>;

const messageSchema = v.object({
  id: count,
  role: roleSchema,
  versions: v.pipe(v.array(versionSchema), v.minLength(1)),
  /** Index of the version that is seen and that the model reads. */
  shown: count,
});
export type Message = v.InferOutput<typeof messageSchema>;

const viewSchema = v.object({
  colour: v.picklist(['off', 'raw', 'filtered']),
  isSettingsOpen: v.boolean(),
  isPromptOpen: v.boolean(),
  promptAs: v.picklist(['text', 'tokens']),
  scrollTop: v.number(),
});
export type View = v.InferOutput<typeof viewSchema>;

export const draftSchema = v.object({
  version: v.literal(1),
  id: draftId,
  /** Milliseconds since 1970; the newer of two copies counts. */
  savedAt: v.number(),
  nextId: count,
  system: v.string(),
  messages: v.array(messageSchema),
  /** What is being written and was not sent yet. */
  composer: v.string(),
  sampling: samplingSchema,
  /** What the token ids of `sampling.logitBias` read as. */
  biasLabels: v.record(v.string(), v.string()),
  view: viewSchema,
});
export type Draft = v.InferOutput<typeof draftSchema>;

const draftSummarySchema = v.object({
  id: draftId,
  title: v.string(),
  savedAt: v.number(),
  messages: count,
});
export type DraftSummary = v.InferOutput<typeof draftSummarySchema>;

/** Messages to start a conversation with, from a command. */
export const openingSchema = v.object({
  messages: v.array(v.object({ role: roleSchema, content: v.string() })),
});
export type Opening = v.InferOutput<typeof openingSchema>;

/** What the page calls on the controller. */
export const playgroundHostContract = {
  /** The page is there: what it should show. `recent` are conversations of earlier tabs, newest first. */
  ready: {
    params: nothing,
    progress: nothing,
    result: v.object({
      engine: engineStateSchema,
      recent: v.array(draftSummarySchema),
      opening: v.optional(openingSchema),
    }),
  },
  loadDraft: { params: v.object({ id: draftId }), progress: nothing, result: v.optional(draftSchema) },
  saveDraft: { params: v.object({ draft: draftSchema }), progress: nothing, result: nothing },
  deleteDraft: { params: v.object({ id: draftId }), progress: nothing, result: v.array(draftSummarySchema) },
  listDrafts: { params: nothing, progress: nothing, result: v.array(draftSummarySchema) },
  /** Starts the engine, or starts it again after a failure; its state comes through `engineState`. */
  startEngine: { params: nothing, progress: nothing, result: nothing },
  showLog: { params: nothing, progress: nothing, result: nothing },
  encode: engineMethods.encode,
  stats: engineMethods.stats,
  generate: {
    params: v.omit(generateSchema, ['priority', 'details']),
    progress: engineMethods.generate.progress,
    result: engineMethods.generate.result,
  },
  copyText: { params: v.object({ text: v.string() }), progress: nothing, result: nothing },
  /** Resolves with a sentence that says where the text went. */
  insertText: { params: v.object({ text: v.string() }), progress: nothing, result: v.string() },
  inspect: {
    params: v.object({ input: promptInputSchema, continuation: v.array(count) }),
    progress: nothing,
    result: nothing,
  },
} as const;

/** What the controller calls on the page. */
export const playgroundPageContract = {
  engineState: { params: engineStateSchema, progress: nothing, result: nothing },
  /** Starts a new conversation; the one in view is kept among the recent ones. */
  open: { params: openingSchema, progress: nothing, result: nothing },
} as const;

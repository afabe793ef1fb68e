/**
 * What the Attention page and its controller say to each other. The controller owns the state; the page asks `ready` and
 * gets the whole of it, so that it can be closed and opened at any moment.
 *
 * Offsets are UTF-16 code units of the inspected text.
 */
import * as v from 'valibot';
import { wireErrorSchema } from './app-error.ts';
import { causalRecordSchema } from './causal-contract.ts';
import { attentionStackSchema, headMapSchema, pictureLayoutSchema, promptInputSchema } from './engine-contract.ts';

const count = v.pipe(v.number(), v.integer(), v.minValue(0));
const nothing = v.undefined();

const directionSchema = v.picklist(['attends', 'attended']);

const panelTokenSchema = v.object({
  /** Readable on one line, such as `·the` or `↵`. */
  label: v.string(),
  start: count,
  end: count,
  isSpecial: v.boolean(),
  /** A line break ends it; for the token text. */
  isLineEnd: v.boolean(),
});
export type PanelToken = v.InferOutput<typeof panelTokenSchema>;

const shownSchema = v.object({
  kind: v.literal('shown'),
  inspectionId: count,
  title: v.string(),
  /** Of the text, or of the picture. */
  tokens: v.array(panelTokenSchema),
  /** Of the translation, where there is one. */
  target: v.optional(v.array(panelTokenSchema)),
  /** Its pixels are asked for by `picture`. */
  picture: v.optional(pictureLayoutSchema),
  stacks: v.pipe(v.array(attentionStackSchema), v.minLength(1)),
  /** Index of the stack in view; the numbers below are its own. */
  stack: count,
  layers: count,
  heads: count,
  kvHeads: count,
  runMs: v.number(),
  /** The head in view. */
  layer: count,
  head: count,
  /** `live`: the document still holds the inspected text. `none`: it came from no document. */
  document: v.picklist(['live', 'changed', 'closed', 'none']),
  /** `token` counts in the queries of the stack, or in its keys where `direction` is `attended`. */
  shading: v.optional(v.object({ token: count, direction: directionSchema })),
  /** Sentences about this text, such as the special tokens that were read as plain text. */
  notes: v.array(v.string()),
});
export type ShownState = v.InferOutput<typeof shownSchema>;

const panelStateSchema = v.variant('kind', [
  /** `hint`: a sentence on why there is nothing, after an attempt. */
  v.object({ kind: v.literal('empty'), hint: v.optional(v.string()) }),
  v.object({
    kind: v.literal('loading'),
    title: v.string(),
    message: v.string(),
    /** 0..1, or absent while it cannot be known. */
    fraction: v.optional(v.number()),
  }),
  v.object({
    kind: v.literal('tooLong'),
    title: v.string(),
    tokens: count,
    /** The text was too long to be tokenised whole: there are more tokens. */
    hasMore: v.boolean(),
    limit: count,
  }),
  v.object({ kind: v.literal('failed'), title: v.string(), error: wireErrorSchema }),
  /** The model's attention cannot be read. */
  v.object({ kind: v.literal('refused'), reason: v.string() }),
  shownSchema,
]);
export type PanelState = v.InferOutput<typeof panelStateSchema>;

const order = { params: nothing, progress: nothing, result: nothing } as const;
const stackAddress = { inspectionId: count, stack: count };
const headAddress = { ...stackAddress, layer: count, head: count };

const headTestSchema = v.object({
  layer: count,
  head: count,
  token: count,
  /** Readable: the token whose probability is measured, and whether it is the one that follows in the text. */
  target: v.string(),
  isInText: v.boolean(),
  /** Without the head's output, and with its mean over the positions of the text itself. */
  zero: causalRecordSchema,
  mean: causalRecordSchema,
});
export type HeadTest = v.InferOutput<typeof headTestSchema>;

/** What the page asks of the controller. */
export const attentionHostContract = {
  ready: { params: nothing, progress: nothing, result: panelStateSchema },
  inspectSelection: order,
  /** After `tooLong`: the first tokens only. */
  inspectFirst: order,
  retry: order,
  cancel: order,
  openSettings: order,
  /** Brings another attention of the model into view, with the same head where it has one. */
  chooseStack: { params: v.object(stackAddress), progress: nothing, result: nothing },
  /** Brings a head into view, editor shading included; the next state says so. */
  choose: { params: v.object({ inspectionId: count, layer: count, head: count }), progress: nothing, result: nothing },
  /** The map of a head, in view or not: float32 [query, key]. */
  map: {
    params: v.object(headAddress),
    progress: nothing,
    result: headMapSchema,
  },
  /** Pixels of the picture as the model sees it: [row, column, RGBA]. */
  picture: {
    params: v.object({ inspectionId: count }),
    progress: nothing,
    result: v.object({ pixels: v.instance(Uint8Array) }),
  },
  /** Largest weights per cell of a size x size grid, 0..255: [layer, head, row, column]. */
  thumbnails: {
    params: v.object({ ...stackAddress, layers: v.array(count), size: count }),
    progress: nothing,
    result: v.object({ pixels: v.instance(Uint8Array), size: count }),
  },
  /** Shades in the editor what a token attends to, or what attends to it, and reveals the token. */
  shade: {
    params: v.object({ inspectionId: count, token: count, direction: directionSchema }),
    progress: nothing,
    result: nothing,
  },
  clearShading: order,
  /** What the prediction behind a token loses without a head. */
  testHead: {
    params: v.object({ inspectionId: count, layer: count, head: count, token: count }),
    progress: nothing,
    result: headTestSchema,
  },
} as const;

/** What the controller tells the page. */
export const attentionPageContract = {
  state: { params: panelStateSchema, progress: nothing, result: nothing },
} as const;

/** The argument of `glasshead.inspectPrompt`. */
export const inspectPromptSchema = v.object({
  input: promptInputSchema,
  continuation: v.optional(v.array(count)),
  /** What a translator is to have written; absent: its own answer. */
  target: v.optional(v.string()),
  title: v.optional(v.string()),
});

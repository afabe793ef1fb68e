/**
 * What the extension and the Model page ask each other. The page asks `ready` when it has started, however often that
 * happens, and gets the whole state back; later states come by `show`.
 */
import * as v from 'valibot';
import { wireErrorSchema } from './app-error.ts';
import { engineContract } from './engine-contract.ts';
import { engineStateSchema } from './engine-state.ts';

const nothing = v.undefined();

const modelViewSchema = v.object({
  state: engineStateSchema,
  /** The model that the settings name, loaded or not. */
  configured: v.object({
    name: v.string(),
    /** A line such as "96 MB, Apache-2.0". */
    detail: v.string(),
  }),
});
export type ModelView = v.InferOutput<typeof modelViewSchema>;

const modelActionSchema = v.picklist(['load', 'stop', 'restart', 'showLog', 'openSettings']);
export type ModelAction = v.InferOutput<typeof modelActionSchema>;

/** Served by the page. */
export const modelPageContract = {
  ...engineContract,
  show: { params: modelViewSchema, progress: nothing, result: nothing },
} as const;
export type ModelPageContract = typeof modelPageContract;

/** Served by the extension. */
export const modelHostContract = {
  ready: { params: nothing, progress: nothing, result: modelViewSchema },
  /** The worker went away while nobody waited for it. */
  engineDied: { params: wireErrorSchema, progress: nothing, result: nothing },
  act: { params: v.object({ action: modelActionSchema }), progress: nothing, result: nothing },
  /** A line for the log channel. */
  log: {
    params: v.object({ level: v.picklist(['debug', 'info', 'warn', 'error']), message: v.string() }),
    progress: nothing,
    result: nothing,
  },
} as const;

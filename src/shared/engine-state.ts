/** The engine's one state, owned by the engine client and read by everyone else. */
import * as v from 'valibot';
import { wireErrorSchema } from './app-error.ts';
import { loadPhaseSchema, modelInfoSchema } from './engine-contract.ts';

export const engineStateSchema = v.variant('kind', [
  v.object({ kind: v.literal('off') }),
  v.object({
    kind: v.literal('loading'),
    modelName: v.string(),
    message: v.string(),
    /** 0..1, or absent while it cannot be known. */
    fraction: v.optional(v.number()),
    /** Of the phase that is under way; bytes while files are read. */
    phase: v.optional(loadPhaseSchema),
    done: v.optional(v.number()),
    total: v.optional(v.number()),
  }),
  v.object({ kind: v.literal('ready'), model: modelInfoSchema }),
  v.object({ kind: v.literal('failed'), error: wireErrorSchema }),
]);
export type EngineState = v.InferOutput<typeof engineStateSchema>;

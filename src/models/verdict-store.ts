/** Keeps what a load found out about WebGPU, so that the next one need not measure it again. */

import * as v from 'valibot';
import type * as vscode from 'vscode';
import { type ModelInfo, type Verdict, verdictSchema } from '../shared/engine-contract.ts';

const keyOf = (modelId: string) => `webgpu-verdict:${modelId}`;

/** The worker checks by the verdict's own key that it is still about the same model, adapter and engine. */
export function readVerdict(state: vscode.Memento, modelId: string): Verdict | undefined {
  const parsed = v.safeParse(verdictSchema, state.get(keyOf(modelId)));
  return parsed.success ? parsed.output : undefined;
}

export async function keepVerdict(state: vscode.Memento, { modelId, verdict }: ModelInfo): Promise<void> {
  if (verdict) await state.update(keyOf(modelId), verdict);
}

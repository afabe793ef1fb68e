/** What the prediction behind a token loses without one head: the two ablations that the Attention panel shows. */

import { labelText } from '../shared/attention/token-label.ts';
import type { HeadTest } from '../shared/attention-contract.ts';
import type { CausalOperation } from '../shared/causal-contract.ts';
import type { Engine, Inspection } from './inspection.ts';

export interface TestedHead {
  readonly layer: number;
  readonly head: number;
  /** The token whose prediction of the next one is measured. */
  readonly token: number;
}

/** Of the other heads of the layer, where there are so many. */
const control = { sets: 8, seed: 1 };

/** The target is the token that follows in the text, behind the last one the most probable. */
export async function testHead(
  engine: Engine,
  { encoded }: Inspection,
  { layer, head, token }: TestedHead,
  signal: AbortSignal,
): Promise<HeadTest> {
  const ids = encoded.tokens.slice(0, token + 1).map(({ id }) => id);
  const next = encoded.tokens[token + 1];
  const target = next ?? (await mostProbable(engine, ids, signal));
  const test = (operation: CausalOperation) => {
    const measure = { kind: 'probability' as const, token: target.id };
    const input = { kind: 'ids' as const, ids };
    return engine.call('causalTest', { input, operation, measure, control, priority: 'interactive' }, { signal });
  };
  const heads = [{ layer, head }];
  const zero = await test({ kind: 'zero', heads, positions: 'all' });
  const mean = await test({ kind: 'mean', heads, positions: 'all', reference: [ids], over: 'all-positions' });
  return { layer, head, token, target: labelText(target.text), isInText: next !== undefined, zero, mean };
}

async function mostProbable(engine: Engine, ids: number[], signal: AbortSignal): Promise<{ id: number; text: string }> {
  const { topIds } = await engine.call('score', { ids, top: 1, priority: 'interactive' }, { signal });
  const id = topIds.at(-1) ?? 0;
  const { tokens } = await engine.call('encode', { input: { kind: 'ids', ids: [id] } }, { signal });
  return { id, text: tokens[0]?.text ?? '' };
}

/** How far a whole load is, from the progress of its phases. */
import type { LoadProgress } from '../shared/engine-contract.ts';
import type { EngineState } from '../shared/engine-state.ts';

/** The share of a load's time at which a phase begins and ends; reading and checking go file by file, as one. */
const spans = {
  fetch: [0, 0.4],
  verify: [0, 0.4],
  compile: [0.4, 0.8],
  probe: [0.8, 1],
} as const satisfies Record<LoadProgress['phase'], readonly [number, number]>;

export function toLoadingState(modelName: string, progress: LoadProgress): EngineState {
  const { phase, done, total, message } = progress;
  const [from, to] = spans[phase];
  const share = total > 0 ? Math.min(1, Math.max(0, done / total)) : 0;
  return { kind: 'loading', modelName, message, fraction: from + share * (to - from), phase, done, total };
}

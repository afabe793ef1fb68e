/** Which tokens the rows and columns of the map in view stand for, and which of them are asked about or shaded. Pure. */
import { type HeadMap, weightsOf } from '../../src/shared/attention/weights.ts';
import type { PanelToken, ShownState } from '../../src/shared/attention-contract.ts';
import type { AttentionStack } from '../../src/shared/engine-contract.ts';
import type { MapTokens } from './readout.ts';

const pooling: readonly PanelToken[] = [{ label: '[POOL]', start: 0, end: 0, isSpecial: true, isLineEnd: false }];

export function stackOf({ stacks, stack }: ShownState): AttentionStack {
  return stacks[stack] ?? stacks[0]!;
}

export function mapTokens(state: ShownState): MapTokens {
  const { queries, keys } = stackOf(state);
  return { queries: tokensOf(state, queries), keys: tokensOf(state, keys) };
}

function tokensOf({ tokens, target }: ShownState, sequence: AttentionStack['queries']): readonly PanelToken[] {
  return sequence === 'pooling' ? pooling : sequence === 'target' ? (target ?? []) : tokens;
}

/** What one sequence shows: its weights where it gets the shades, its token where it is the one asked about. */
export interface SequenceShades {
  readonly weights: readonly (number | undefined)[];
  readonly marked: number | undefined;
}

/** `axis`: of the sequence; a text that attends to itself is both. */
export function shadesOn(
  state: ShownState,
  map: HeadMap | undefined,
  axis: 'queries' | 'keys' | 'both',
): SequenceShades {
  const { shading } = state;
  if (!shading || !map) return { weights: [], marked: undefined };
  const asked = shading.direction === 'attends' ? 'queries' : 'keys';
  const isShaded = axis === 'both' || axis !== asked;
  return {
    weights: isShaded ? weightsOf(map, shading.token, shading.direction) : [],
    marked: axis === 'both' || axis === asked ? shading.token : undefined,
  };
}

interface StackWords {
  readonly tab: string;
  /** What queries and keys are, in a sentence. */
  readonly about: string;
}

export function stackWords({ name }: AttentionStack, isPicture: boolean): StackWords {
  if (name === 'cross') return { tab: 'Cross', about: 'Tokens of the answer attend to tokens of the source.' };
  if (name === 'decoder')
    return { tab: 'Decoder', about: 'Each token of the answer attends to itself and to those before it.' };
  if (name === 'pooling') return { tab: 'Pooling', about: 'One query that the model has learned attends to all.' };
  const what = isPicture ? 'patches of the picture' : 'tokens of the source';
  return { tab: 'Encoder', about: `The ${what} attend to each other, in both directions.` };
}

/** Sorts the attentions of a run into stacks by what their queries and keys are: encoder, decoder, cross, pooling. */
import type { AttentionCapture } from '../inspect/read-attention.ts';
import type { CapturedStack } from '../inspect/site-inspection.ts';

export interface CapturedPart {
  readonly part: 'encoder' | 'decoder';
  readonly captures: readonly AttentionCapture[];
}

export interface Lengths {
  readonly source: number;
  readonly target: number;
}

type Place = Pick<CapturedStack, 'name' | 'isCausal' | 'queries' | 'keys'>;

export interface SortedStacks {
  readonly stacks: readonly CapturedStack[];
  /** Sentences on what is left out. */
  readonly notes: readonly string[];
}

/** Attentions of other sequences, such as the text beside a picture, are left out without a word. */
export function sortIntoStacks(parts: readonly CapturedPart[], lengths: Lengths): SortedStacks {
  const found = new Map<string, { place: Place; captures: AttentionCapture[] }>();
  let windowed = 0;
  let odd = 0;
  for (const { part, captures } of parts)
    for (const capture of captures.toSorted((a, b) => a.site.order - b.site.order)) {
      if (capture.batch !== 1) windowed++;
      const place = capture.batch === 1 ? placeOf(part, capture, lengths) : undefined;
      if (!place) continue;
      const stack = found.get(place.name) ?? { place, captures: [] };
      const [first] = stack.captures;
      // Layers that another sequence feeds, or of another width, do not belong to the first ones.
      if (first && first.heads !== capture.heads) odd++;
      else if (!first || first.site.stack === capture.site.stack) stack.captures.push(capture);
      found.set(place.name, stack);
    }
  const notes = [
    ...(windowed > 0 ? [`Not shown: ${windowed} attentions inside windows of the picture or text.`] : []),
    ...(odd > 0 ? [`Not shown: ${odd} layers whose number of heads is not that of the first.`] : []),
  ];
  const stacks = [...found.values()].map(({ place, captures }) => ({
    ...place,
    captures,
    layers: captures.length,
    heads: captures[0]!.heads,
    kvHeads: captures[0]!.kvHeads,
  }));
  return { stacks: stacks.toSorted((a, b) => order.indexOf(a.name) - order.indexOf(b.name)), notes };
}

const order: readonly Place['name'][] = ['encoder', 'decoder', 'cross', 'pooling'];

function placeOf(
  part: CapturedPart['part'],
  { kind, queries, keys }: AttentionCapture,
  { source, target }: Lengths,
): Place | undefined {
  const isCross = kind === 'cross';
  if (part === 'decoder' && isCross && queries === target && keys === source)
    return { name: 'cross', isCausal: false, queries: 'target', keys: 'source' };
  // A single token sees itself, whatever the rule is.
  if (part === 'decoder' && !isCross && queries === target && keys === target)
    return { name: 'decoder', isCausal: kind !== 'bidirectional', queries: 'target', keys: 'target' };
  if (part === 'encoder' && isCross && queries === 1 && keys === source)
    return { name: 'pooling', isCausal: false, queries: 'pooling', keys: 'source' };
  if (part === 'encoder' && !isCross && queries === source && keys === source)
    return { name: 'encoder', isCausal: kind === 'causal', queries: 'source', keys: 'source' };
  return undefined;
}

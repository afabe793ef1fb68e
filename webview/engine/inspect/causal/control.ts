/** What a tested change is compared with: the same done to random heads of the same layers, or to random edges as long. */
import type { Control, ControlRequest, HeadRef } from '../../../../src/shared/causal-contract.ts';
import { createRandom, type Random } from '../../../../src/shared/sampling/random.ts';

export type Edge = [query: number, key: number];

export interface Drawn<T> {
  readonly sets: T[][];
  readonly note?: string;
}

/** Tries for one more set before it is held that there are no others. */
const patience = 200;

/** Each set has as many heads of each layer as `tested` has; none of those, and no set twice. */
export function drawHeadSets(
  tested: readonly HeadRef[],
  headsInLayer: number,
  { sets: wanted, seed }: ControlRequest,
): Drawn<HeadRef> {
  const random = createRandom(seed);
  const layers = [...new Set(tested.map(({ layer }) => layer))].sort((a, b) => a - b);
  const pools = layers.map((layer) => {
    const own = new Set(tested.filter((head) => head.layer === layer).map(({ head }) => head));
    const others = Array.from({ length: headsInLayer }, (_, head) => head).filter((head) => !own.has(head));
    return { layer, count: own.size, others };
  });
  const lacking = pools.find(({ count, others }) => others.length < count);
  if (lacking)
    return {
      sets: [],
      note: `Layer ${lacking.layer} has only ${lacking.others.length} other heads for ${lacking.count} tested: no control.`,
    };
  const draw = () =>
    pools.flatMap(({ layer, count, others }) => sample(others, count, random).map((head) => ({ layer, head })));
  return distinct(draw, wanted, 'sets of other heads of the same layers');
}

/**
 * Each set has an edge of the same distance for each of `tested`, with a query up to `at`; none of those, no set twice,
 * and each query keeps a key.
 */
export function drawEdgeSets(tested: readonly Edge[], at: number, { sets: wanted, seed }: ControlRequest): Drawn<Edge> {
  const random = createRandom(seed);
  const own = new Set(tested.map(String));
  const pools = tested.map(([query, key]) => {
    const distance = query - key;
    const edges = Array.from({ length: at + 1 }, (_, i): Edge => [i, i - distance]);
    return edges.filter((edge) => edge[1] >= 0 && edge[0] > 0 && !own.has(String(edge)));
  });
  const draw = () => {
    const set = pools.flatMap((pool) => sample(pool, 1, random));
    const isWhole = set.length === tested.length && new Set(set.map(String)).size === set.length;
    const isSeeing = set.every(([query]) => set.filter((edge) => edge[0] === query).length <= query);
    return isWhole && isSeeing ? set : undefined;
  };
  return distinct(draw, wanted, 'sets of other edges of the same distances');
}

/** Quantiles by linear interpolation between order statistics (Hyndman and Fan 1996, type 7). */
export function summarise(
  request: ControlRequest,
  drawn: { readonly heads?: HeadRef[][]; readonly edges?: Edge[][]; readonly note?: string | undefined },
  effects: number[],
): Control {
  const { note, ...sets } = drawn;
  const sorted = [...effects].sort((a, b) => a - b);
  return {
    ...request,
    ...sets,
    effects,
    ...(effects.length > 0 && {
      mean: effects.reduce((a, b) => a + b, 0) / effects.length,
      low: quantile(sorted, 0.025),
      high: quantile(sorted, 0.975),
    }),
    ...(note !== undefined && { note }),
  };
}

function quantile(sorted: readonly number[], share: number): number {
  const place = share * (sorted.length - 1);
  const below = Math.floor(place);
  const low = sorted[below]!;
  return low + (place - below) * ((sorted[below + 1] ?? low) - low);
}

function sample<T>(from: readonly T[], count: number, random: Random): T[] {
  const left = [...from];
  const taken: T[] = [];
  while (taken.length < count && left.length > 0)
    taken.push(...left.splice(Math.floor(random.next() * left.length), 1));
  return taken;
}

function distinct<T>(draw: () => T[] | undefined, wanted: number, what: string): Drawn<T> {
  const sets = new Map<string, T[]>();
  for (let tries = 0; sets.size < wanted && tries < patience; tries++) {
    const set = draw();
    if (!set) continue;
    const name = JSON.stringify([...set].map((one) => JSON.stringify(one)).sort());
    if (sets.has(name)) continue;
    sets.set(name, set);
    tries = 0;
  }
  const list = [...sets.values()];
  if (list.length === wanted) return { sets: list };
  return { sets: list, note: `Only ${list.length} of ${wanted} ${what} were to be had.` };
}

/** Says of what is to be changed in attention whether it can be: a runtime that takes it may then trust it. */
import { AppError } from '../../src/shared/app-error.ts';
import type { AttentionSpec, Decoder, EdgeCut, Intervention } from './decoder.ts';

type Shape = Pick<Decoder, 'layers' | 'heads' | 'headDim' | 'attention' | 'hasGates' | 'hasPatches' | 'hasCuts'>;

/**
 * @throws AppError `model-unsupported` for what the runtime does not take, `bad-input` for a layer, a head or a position
 *   that there is not, rows of another width, and a query that would see no key at all.
 */
export function checkIntervention(shape: Shape, { gates, patches = [], cuts = [] }: Intervention): void {
  if (gates && !shape.hasGates) throw unsupported('gates on heads');
  if (patches.length > 0 && !shape.hasPatches) throw unsupported("patches of heads' outputs");
  if (cuts.length > 0 && !shape.hasCuts) throw unsupported('cuts of edges');
  if (gates && gates.length !== shape.layers * shape.heads)
    throw bad(`There are ${gates.length} gates for ${shape.layers} layers of ${shape.heads} heads. Give one per head.`);
  for (const { layer, head, at, rows } of patches) {
    checkHead(shape, layer, head);
    if (!isCount(at)) throw bad(`A patch cannot start at position ${at}. Positions count from 0.`);
    if (rows.length === 0 || rows.length % shape.headDim !== 0)
      throw bad(
        `A patch of ${rows.length} numbers is no whole rows of ${shape.headDim}. Give headDim numbers a token.`,
      );
  }
  for (const cut of cuts) checkCut(shape, cut);
  checkKeysLeft(shape, cuts);
}

/** @throws AppError `bad-input` */
export function checkHead({ layers, heads }: Pick<Shape, 'layers' | 'heads'>, layer: number, head: number): void {
  if (!(isCount(layer) && layer < layers && isCount(head) && head < heads))
    throw bad(
      `There is no head ${layer}.${head}. Choose a layer from 0 to ${layers - 1} and a head from 0 to ${heads - 1}.`,
    );
}

function checkCut(shape: Shape, { query, key, layers: [from, to], heads = [] }: EdgeCut): void {
  if (!(isCount(query) && isCount(key) && key <= query))
    throw bad(`There is no edge from query ${query} to key ${key}. A query sees keys up to its own position.`);
  if (from > to) throw bad(`The window of layers ${from} to ${to} is empty. Give its first layer first.`);
  for (const layer of [from, to]) checkHead(shape, layer, 0);
  for (const head of heads) checkHead(shape, from, head);
}

function checkKeysLeft({ layers, heads, attention }: Shape, cuts: readonly EdgeCut[]): void {
  const specs = 'refused' in attention ? [] : attention;
  for (const [query, list] of byQuery(cuts))
    for (let layer = 0; layer < layers; layer++) {
      const active = list.filter(({ layers: [from, to] }) => from <= layer && layer <= to);
      const first = firstSeen(query, specs[layer]);
      const visible = query - first + 1;
      if (active.length < visible) continue;
      for (let head = 0; head < heads; head++) {
        const own = active.filter((cut) => cut.key >= first && (!cut.heads || cut.heads.includes(head)));
        if (new Set(own.map(({ key }) => key)).size === visible)
          throw bad(`Query ${query} would see no key in head ${layer}.${head}. Leave it at least one.`);
      }
    }
}

function byQuery(cuts: readonly EdgeCut[]): Map<number, EdgeCut[]> {
  const lists = new Map<number, EdgeCut[]>();
  for (const cut of cuts) {
    const list = lists.get(cut.query);
    if (list) list.push(cut);
    else lists.set(cut.query, [cut]);
  }
  return lists;
}

function firstSeen(query: number, spec: AttentionSpec | undefined): number {
  return spec?.window === undefined ? 0 : Math.max(0, query - spec.window + 1);
}

function isCount(value: number): boolean {
  return Number.isInteger(value) && value >= 0;
}

function bad(message: string): AppError {
  return new AppError('bad-input', message);
}

function unsupported(what: string): AppError {
  return new AppError(
    'model-unsupported',
    `The runtime of this model takes no ${what}. Choose another model, or load it on WebAssembly.`,
  );
}

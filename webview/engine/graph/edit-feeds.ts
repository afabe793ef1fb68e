/** What to feed the inputs that `tapGraph` adds: gates, patches and cuts, laid out as the graph has the tensor they change. */
import { AppError } from '../../../src/shared/app-error.ts';
import type { AttentionSite, Axis, AxisPart, AxisRole } from './attention-site.ts';
import { halfBits } from './half.ts';

export interface Feed {
  readonly name: string;
  readonly type: 'float32' | 'float16';
  readonly dims: readonly number[];
  /** Bits where the type is float16. */
  readonly data: Float32Array | Uint16Array;
}

/** Numbers by what they stand for; a role that is not among `sizes` is the same everywhere. */
export interface FeedValues {
  /** In the order batch, head, query, key, dim of those that there are: the last varies fastest. */
  readonly data: ArrayLike<number>;
  readonly sizes: Partial<Record<AxisRole, number>>;
}

type EditKind = 'gate' | 'patch' | 'cut';

/** One for every input that was added: a run with these is the untouched one. */
export function neutralFeeds(sites: readonly AttentionSite[]): Feed[] {
  return sites.flatMap((site) =>
    kinds.flatMap((kind) => (typeof site.inputs[kind] === 'string' ? [neutralFeed(site, kind)] : [])),
  );
}

function neutralFeed(site: AttentionSite, kind: EditKind): Feed {
  return editFeed(site, kind, { data: [kind === 'gate' ? 1 : 0], sizes: {} });
}

/**
 * What a site's gate multiplies its output by ([head], or [batch, head]), what its patch adds to it ([query, head, dim]
 * and so on), or what its cut adds to its scores: -infinity hides a key from a query.
 *
 * @throws AppError `bad-input` where the site has no such input, or the values do not fit its layout.
 */
export function editFeed(site: AttentionSite, kind: EditKind, values: FeedValues): Feed {
  const name = site.inputs[kind];
  const axes = kind === 'cut' ? site.inputs.cutAxes : site.output?.axes;
  if (typeof name !== 'string' || !axes)
    throw new AppError(
      'bad-input',
      `The attention of ${site.node} takes no ${kind}: ${typeof name === 'object' ? name.refused : 'the graph was opened without it.'}`,
    );
  const { dims, data } = layOut(axes, values, { head: site.heads, dim: site.headDim });
  const { type } = site.inputs;
  return { name, type, dims, data: type === 'float16' ? Uint16Array.from(data, halfBits) : data };
}

const kinds: readonly EditKind[] = ['gate', 'patch', 'cut'];
const order: readonly AxisRole[] = ['batch', 'head', 'query', 'key', 'dim'];

type Known = Partial<Record<AxisRole, number | undefined>>;

function layOut(
  axes: readonly Axis[],
  { data, sizes }: FeedValues,
  known: Known,
): { dims: number[]; data: Float32Array } {
  const roles = order.filter((role) => sizes[role] !== undefined);
  const expected = roles.reduce((product, role) => product * sizes[role]!, 1);
  if (data.length !== expected)
    throw new AppError('bad-input', `${data.length} numbers do not fill a tensor of ${expected}.`);
  const parts = axes.map((axis) => (axis.parts.some(({ role }) => sizes[role] !== undefined) ? axis.parts : []));
  const lengths = parts.map((axis) => axis.map((part) => lengthOf(part, axis, sizes, known)));
  const dims = lengths.map((axis) => axis.reduce((a, b) => a * b, 1));
  const out = new Float32Array(dims.reduce((a, b) => a * b, 1));
  const flat = parts.flat();
  const flatLengths = lengths.flat();
  const index = new Array<number>(flat.length).fill(0);
  for (let at = 0; at < out.length; at++) {
    out[at] = data[roles.reduce((place, role) => place * sizes[role]! + indexOf(role, flat, flatLengths, index), 0)]!;
    for (let i = index.length - 1; i >= 0 && ++index[i]! >= flatLengths[i]!; i--) index[i] = 0;
  }
  return { dims, data: out };
}

/** Of one part of an axis; of a role that has several levels, what its others leave. */
function lengthOf(part: AxisPart, axis: readonly AxisPart[], sizes: Known, known: Known): number {
  if (part.size !== undefined) return part.size;
  const whole = sizes[part.role] ?? known[part.role];
  if (whole === undefined)
    throw new AppError(
      'bad-input',
      `How many of ${part.role} there are has to be said: they share an axis with the heads.`,
    );
  const others = axis.filter((other) => other !== part && other.role === part.role);
  return whole / others.reduce((product, { size = 1 }) => product * size, 1);
}

function indexOf(
  role: AxisRole,
  parts: readonly AxisPart[],
  lengths: readonly number[],
  index: readonly number[],
): number {
  let at = 0;
  for (const [i, part] of parts.entries()) if (part.role === role) at = at * lengths[i]! + index[i]!;
  return at;
}

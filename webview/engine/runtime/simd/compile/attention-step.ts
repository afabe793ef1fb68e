/** The attention step of a layer, whichever operators it is made of. */
import type { Compilation } from './compilation.ts';
import { damaged, unsupported } from './refusal.ts';
import type { Cache, Hidden, Value } from './value.ts';
import { countOf, headsOf, one, tokenAxis } from './view.ts';

export interface AttentionParts {
  readonly query: Hidden;
  /** New keys and values, rotated: [heads * headDim] numbers of a row each. */
  readonly key: Hidden;
  readonly value: Hidden;
  readonly pastKey: Cache;
  readonly pastValue: Cache;
  readonly heads: number;
  readonly scale: number;
  readonly softcap?: number | undefined;
  readonly window?: number | undefined;
  readonly sinks?: Float32Array | undefined;
  readonly label: string;
}

/** As large as any model has. */
const mostHeads = 1024;
const mostDim = 1024;

/** Returns a row of heads * headDim numbers. @throws AppError when sizes do not fit. */
export function attend(compilation: Compilation, parts: AttentionParts): Hidden {
  const { pastKey, pastValue, heads, scale, softcap, window, sinks, label } = parts;
  const { builder } = compilation;
  const { kvHeads, headDim } = pastKey;
  if (pastValue.kvHeads !== kvHeads || pastValue.headDim !== headDim)
    throw unsupported(`${label}: its keys and values have different sizes`);
  if (!(heads >= 1 && heads <= mostHeads && heads % kvHeads === 0 && headDim <= mostDim))
    throw damaged(`${label} has ${heads} heads of ${headDim} for ${kvHeads} in the cache`);
  if (!Number.isFinite(scale)) throw damaged(`${label} has the scale ${scale}`);
  compilation.addLayer({ key: pastKey.input, value: pastValue.input, heads, kvHeads, headDim }, label);
  const row = (value: Hidden, count: number, name: string) => {
    const { slice, axes } = builder.settle(value, label);
    const shape = headsOf(axes);
    const isRow = countOf(axes) === count * headDim && shape && (shape.heads === 1 || shape.headDim === headDim);
    if (!isRow) throw unsupported(`${label} has ${name} of the wrong size: not ${count} heads of ${headDim}`);
    return slice;
  };
  const to = builder.buffer(heads * headDim);
  builder.add({
    op: 'attention',
    layer: pastKey.input,
    query: row(parts.query, heads, 'queries'),
    key: row(parts.key, kvHeads, 'keys'),
    value: row(parts.value, kvHeads, 'values'),
    ...{ heads, kvHeads, headDim, scale },
    ...(softcap && { softcap }),
    ...(window && { window }),
    ...(sinks && { sinks }),
    to,
  });
  return { kind: 'hidden', slice: to, axes: [one, tokenAxis, { size: to.width, stride: 1, isToken: false }] };
}

/** The same numbers as [1, head, token, dim]. */
export function byHead(value: Hidden, headDim: number): Hidden {
  const heads = value.slice.width / headDim;
  const axes = [
    one,
    { size: heads, stride: headDim, isToken: false },
    tokenAxis,
    { size: headDim, stride: 1, isToken: false },
  ];
  return { ...value, axes };
}

/** The past of a layer as the graph gets it. @throws AppError when it is something else. */
export function pastOf(value: Value | undefined, label: string): Cache {
  if (value?.kind === 'cache' && !value.added) return value;
  throw unsupported(`${label} has no key/value cache as its input`);
}

/** The past with what is new behind it: [1, head, token, dim]. */
export function presentOf(past: Cache, added: Hidden): Cache {
  return { ...past, added, axes: past.axes.map((axis) => (axis === 'past' ? 'total' : axis)) };
}

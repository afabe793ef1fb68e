/** Attention that is made of plain operators: a product with the keys, a mask, a softmax, a product with the values. */
import { meaningOf } from './attention-mask.ts';
import { attend, byHead } from './attention-step.ts';
import type { Compilation } from './compilation.ts';
import { affineOf } from './expression.ts';
import type { GraphNode } from './graph-node.ts';
import type { Operator } from './layout-operators.ts';
import { axisOf } from './tensor.ts';
import type { Cache, Hidden, Scores, Value } from './value.ts';

const endsWith = ({ axes }: Cache, ...last: readonly string[]) => axes.slice(-2).join() === last.join();

/** Query times keys, or weights times values; undefined for other products. */
export function attentionMatMul(node: GraphNode, a: Value, b: Value, compilation: Compilation): Value | undefined {
  if (b.kind !== 'cache') return undefined;
  if (!b.added) throw node.refused('it multiplies with the past alone');
  if (a.kind === 'hidden' && endsWith(b, 'dim', 'total')) {
    const { query, factor } = withoutFactor(a);
    return {
      kind: 'scores',
      query,
      key: b,
      scale: b.scale * factor,
      softcap: undefined,
      form: 'scores',
      mask: undefined,
    };
  }
  if (a.kind !== 'scores' || a.form !== 'weights' || !endsWith(b, 'total', 'dim') || b.scale !== 1)
    throw node.refused('it multiplies with a cache in a way that is no attention');
  return attended(node, a, b, compilation);
}

/** A query that the graph scales is read unscaled. */
function withoutFactor(query: Hidden): { query: Hidden; factor: number } {
  const affine = query.expression && affineOf(query.expression);
  if (affine?.offset !== 0) return { query, factor: 1 };
  const { expression: _, ...plain } = query;
  return { query: plain, factor: affine.factor };
}

function attended(
  node: GraphNode,
  { query, key, scale, softcap, mask }: Scores,
  value: Cache,
  compilation: Compilation,
): Hidden {
  const { label } = node;
  const { window } = meaningOf(compilation, mask, false, label);
  const heads = query.axes.at(-3)?.size ?? 1;
  if (key.repeat !== value.repeat || key.kvHeads * key.repeat !== heads)
    throw node.refused('its keys and values are repeated for other heads');
  const result = attend(compilation, {
    ...{ query, heads, scale, softcap, window, label },
    ...{ key: key.added!, value: value.added!, pastKey: key, pastValue: value },
  });
  return byHead(result, key.headDim);
}

/** Scale, softcap and mask on the way to the softmax, and guards against rows without keys behind it. */
export function scoresArithmetic(
  node: GraphNode,
  a: Value,
  b: Value | undefined,
  compilation: Compilation,
): Value | undefined {
  if (a.kind === 'cache' || b?.kind === 'cache') return scaledCache(node, a, b, compilation);
  const [scores, other] = a.kind === 'scores' ? [a, b] : b?.kind === 'scores' && node.operator !== 'Div' ? [b, a] : [];
  if (!scores) return undefined;
  const { operator } = node;
  if (operator === 'tanh' || operator === 'Tanh')
    return scores.form === 'scores' && !scores.mask ? { ...scores, form: 'tanh' } : undefined;
  if (operator === 'IsNaN' && scores.form === 'weights') return { ...scores, form: 'isNaN' };
  if (other?.kind !== 'known') return undefined;
  const factor = compilation.number(other);
  if (operator === 'Add' && factor === undefined && scores.form === 'scores' && !scores.mask)
    return { ...scores, mask: other };
  if (factor === undefined || scores.mask || (operator !== 'Mul' && operator !== 'Div')) return undefined;
  const by = operator === 'Mul' ? factor : 1 / factor;
  if (scores.form === 'tanh') return { ...scores, form: 'scores', softcap: by, scale: scores.scale * by };
  return scores.form === 'scores' && scores.softcap === undefined ? { ...scores, scale: scores.scale * by } : undefined;
}

function scaledCache(node: GraphNode, a: Value, b: Value | undefined, compilation: Compilation): Value | undefined {
  const [cache, other] = a.kind === 'cache' ? [a, b] : [b as Cache, a];
  const factor = compilation.number(other);
  const isScale = (node.operator === 'Mul' || (node.operator === 'Div' && cache === a)) && factor !== undefined;
  if (!isScale) throw node.refused('it changes keys or values behind the cache, which keeps what it was given');
  return { ...cache, scale: cache.scale * (node.operator === 'Mul' ? factor : 1 / factor) };
}

export const softmax: Operator = (node) => {
  const value = node.required(0);
  if (value.kind !== 'scores') return undefined;
  const rank = value.query.axes.length;
  if (value.form !== 'scores' || axisOf(node.int('axis', -1), rank) !== rank - 1) return undefined;
  return { ...value, form: 'weights' };
};

/** A mask, or a guard of weights against NaN. */
const where: Operator = (node, compilation) => {
  const [condition, yes, no] = [node.required(0), node.required(1), node.required(2)];
  if (condition.kind === 'scores' && condition.form === 'isNaN' && no.kind === 'scores') return no;
  if (condition.kind !== 'known' || yes.kind !== 'scores' || no.kind !== 'known') return undefined;
  const least = compilation.number(no);
  if (yes.form !== 'scores' || yes.mask || least === undefined || least > -9000) return undefined;
  return { ...yes, mask: condition };
};

export const scoreOperators: Record<string, Operator> = {
  Where: where,
  IsNaN: (node, compilation) => scoresArithmetic(node, node.required(0), undefined, compilation),
};

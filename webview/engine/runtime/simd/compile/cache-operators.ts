/** What graphs do to keys and values on their way from the cache to attention: join, repeat for query heads, turn around. */
import type { Compilation } from './compilation.ts';
import { axesOf, permutation, shapePart, unsqueezed } from './evaluate-layout.ts';
import type { GraphNode } from './graph-node.ts';
import type { Known } from './known.ts';
import { constantInput } from './layout-operators.ts';
import { damaged } from './refusal.ts';
import { axisOf, intVector } from './tensor.ts';
import type { Cache, CacheAxis, Hidden, Size, Value } from './value.ts';
import { headsOf } from './view.ts';

function sizeOfAxis({ kvHeads, headDim, repeat }: Cache, axis: CacheAxis, { tokens, past }: Size): number {
  const sizes = {
    one: 1,
    pair: 2,
    kvHead: kvHeads,
    repeat,
    head: kvHeads * repeat,
    past,
    total: past + tokens,
    dim: headDim,
  };
  return sizes[axis];
}

/** The past and the new rows behind it. */
function concatCache(node: GraphNode): Cache {
  const [past, added] = [node.required(0), node.required(1)];
  if (past.kind !== 'cache' || past.added || added.kind !== 'hidden' || node.inputs.length !== 2)
    throw node.refused('it joins a cache with something that is not the new keys or values');
  if (past.axes[axisOf(node.int('axis', 0), past.axes.length)] !== 'past')
    throw node.refused('it joins a cache on another axis than the tokens');
  checkAdded(node, past, added);
  return { ...past, added, axes: past.axes.map((axis) => (axis === 'past' ? 'total' : axis)) };
}

function checkAdded(node: GraphNode, past: Cache, added: Hidden): void {
  const shape = headsOf(added.axes);
  const isToken = added.axes.map(({ isToken: is }) => is).indexOf(true) === past.axes.indexOf('past');
  if (
    added.axes.length !== past.axes.length ||
    !isToken ||
    shape?.heads !== past.kvHeads ||
    shape.headDim !== past.headDim
  )
    throw damaged(`${node.label} joins rows that do not fit the cache of ${past.kvHeads} heads of ${past.headDim}`);
}

const unsqueeze = (node: GraphNode, cache: Cache, compilation: Compilation): Cache => ({
  ...cache,
  axes: unsqueezed<CacheAxis>(cache.axes, axesOf(node, constantInput(node, 1, compilation)) ?? [], 'one'),
});

/** Repeats heads: an axis of one becomes an axis of query heads for each head. */
function expand(node: GraphNode, cache: Cache, shape: Known): Cache {
  const size = { tokens: 7, past: 13 };
  const dims = shape.at(size).data;
  let { repeat } = cache;
  if (dims.length !== cache.axes.length) throw node.refused('it adds axes to a cache');
  const axes = cache.axes.map((axis, i): CacheAxis => {
    if (dims[i] === 1 || dims[i] === sizeOfAxis(cache, axis, size)) return axis;
    if (axis !== 'one' || cache.axes[i - 1] !== 'kvHead' || repeat !== 1)
      throw node.refused('it repeats a cache in a way that is not known');
    repeat = dims[i]!;
    return 'repeat';
  });
  return { ...cache, axes, repeat };
}

function reshape(node: GraphNode, cache: Cache, shape: Known): Cache {
  const size = { tokens: 7, past: 13 };
  const dims = [...shape.at(size).data].map((dim, i) =>
    dim === 0 && !node.int('allowzero', 0) && cache.axes[i] ? sizeOfAxis(cache, cache.axes[i], size) : dim,
  );
  const count = cache.axes.reduce((product, axis) => product * sizeOfAxis(cache, axis, size), 1);
  const open = dims.indexOf(-1);
  if (open >= 0) dims[open] = count / -dims.reduce((a, b) => a * b, 1);
  const rest = cache.axes.filter((axis) => axis !== 'one');
  const axes = dims.map((dim, i): CacheAxis => {
    const [first, second] = rest;
    const isOne = dim === 1 && (!first || sizeOfAxis(cache, first, size) !== 1 || dims.length - i > rest.length);
    if (isOne) return 'one';
    rest.shift();
    if (first && dim === sizeOfAxis(cache, first, size)) return first;
    if (first !== 'kvHead' || second !== 'repeat' || dim !== sizeOfAxis(cache, 'head', size))
      throw node.refused('it reshapes a cache in a way that is not known');
    rest.shift();
    return 'head';
  });
  if (rest.length > 0) throw damaged(`${node.label} reshapes a cache into [${dims.join(', ')}]`);
  return { ...cache, axes };
}

/** Undefined for operators that do something else to a cache. */
export function cacheOperator(node: GraphNode, cache: Cache, compilation: Compilation): Value | undefined {
  const shape = node.input(1);
  switch (node.operator) {
    case 'Identity':
    case 'Cast':
      return cache;
    case 'Concat':
      return node.inputs.length === 1 ? cache : concatCache(node);
    case 'Unsqueeze':
      return unsqueeze(node, cache, compilation);
    case 'Transpose':
      return { ...cache, axes: permutation(node, cache.axes.length).map((axis) => cache.axes[axis]!) };
    case 'Expand':
      return shape?.kind === 'known' ? expand(node, cache, shape) : undefined;
    case 'Reshape':
      return shape?.kind === 'known' ? reshape(node, cache, shape) : undefined;
    case 'Shape':
      return compilation.known({
        isConstant: false,
        compute: (size) => intVector(shapePart(node, cache.axes).map((axis) => sizeOfAxis(cache, axis, size))),
      });
    default:
      return undefined;
  }
}

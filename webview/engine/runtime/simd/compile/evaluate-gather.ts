/** Operators that look numbers up in tensors that are computed while compiling. */
import { type Evaluate, given } from './evaluate-arithmetic.ts';
import { damaged } from './refusal.ts';
import { allocate, axisOf, sizeOf, stridesOf } from './tensor.ts';

const gather: Evaluate = (node, [input, index]) => {
  const [data, indices] = [given(input, node), given(index, node)];
  const axis = axisOf(node.int('axis', 0), data.dims.length);
  const dim = data.dims[axis] ?? 0;
  const inner = sizeOf(data.dims.slice(axis + 1));
  const dims = [...data.dims.slice(0, axis), ...indices.dims, ...data.dims.slice(axis + 1)];
  const result = allocate(dims);
  let at = 0;
  for (let outer = 0; outer < sizeOf(data.dims.slice(0, axis)); outer++)
    for (const raw of indices.data) {
      const position = raw < 0 ? raw + dim : raw;
      if (!(position >= 0 && position < dim)) throw damaged(`${node.label} reads position ${raw} of ${dim}`);
      const from = (outer * dim + position) * inner;
      for (let i = 0; i < inner; i++) result[at++] = data.data[from + i]!;
    }
  return [{ kind: data.kind, dims, data: result }];
};

const gatherNd: Evaluate = (node, [input, index]) => {
  const [data, indices] = [given(input, node), given(index, node)];
  if (node.int('batch_dims', 0)) throw node.refused('batch_dims are not known');
  const depth = indices.dims.at(-1) ?? 0;
  const strides = stridesOf(data.dims);
  const inner = data.dims.slice(depth);
  const dims = [...indices.dims.slice(0, -1), ...inner];
  const result = allocate(dims);
  const width = sizeOf(inner);
  for (let row = 0; row < indices.data.length / Math.max(depth, 1); row++) {
    let from = 0;
    for (let axis = 0; axis < depth; axis++) {
      const raw = indices.data[row * depth + axis]!;
      const dim = data.dims[axis] ?? 0;
      const position = raw < 0 ? raw + dim : raw;
      if (!(position >= 0 && position < dim)) throw damaged(`${node.label} reads position ${raw} of ${dim}`);
      from += position * strides[axis]!;
    }
    for (let i = 0; i < width; i++) result[row * width + i] = data.data[from + i]!;
  }
  return [{ kind: data.kind, dims, data: result }];
};

export const gathering: Record<string, Evaluate> = { Gather: gather, GatherND: gatherNd };

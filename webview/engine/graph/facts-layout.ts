/** Facts of operators that move, pick, join and reshape. */

import { broadcast } from './facts-elementwise.ts';
import { TensorProto_DataType } from './onnx_pb.js';
import { addSizes, divideSizes, multiplySizes, productOf, type Size } from './symbolic-size.ts';
import { type FactRule, maxValues, type RuleInput, type TensorFacts } from './tensor-facts.ts';
import { intOf, intsOf } from './wired-graph.ts';

const { INT64, FLOAT } = TensorProto_DataType;

/** A list of whole numbers that an attribute or, in later versions, an input gives. */
function listOf({ node, at }: RuleInput, name: string, position: number): (Size | undefined)[] | undefined {
  return intsOf(node, name) ?? (node.inputs[position] ? at(position).values?.slice() : undefined);
}

/** The same, with every number known. */
function numbersOf(input: RuleInput, name: string, position: number): number[] | undefined {
  const list = listOf(input, name, position);
  return list?.every((value) => typeof value === 'number') ? (list as number[]) : undefined;
}

const rules: Record<string, (input: RuleInput) => readonly TensorFacts[]> = {
  Shape: (input) => {
    const { shape } = input.at(0);
    const [start, end] = [intOf(input.node, 'start', 0), intOf(input.node, 'end', Number.MAX_SAFE_INTEGER)];
    const values = shape?.slice(start, end);
    return [{ type: INT64, shape: [values ? values.length : input.fresh()], values }];
  },
  Size: ({ at }) => [{ type: INT64, shape: [], values: [productOf(at(0).shape ?? [undefined])] }],
  Transpose: ({ node, at }) => {
    const { type, shape } = at(0);
    const order = intsOf(node, 'perm') ?? shape?.map((_, i) => shape.length - 1 - i);
    const isRight = shape && order?.length === shape.length && order.every((axis) => shape[axis] !== undefined);
    return [{ type, shape: isRight ? order.map((axis) => shape[axis]!) : undefined }];
  },
  Reshape: (input) => {
    const { type, shape, values } = input.at(0);
    const wanted = listOf(input, 'shape', 1);
    const rank = input.at(1).shape?.[0];
    return [{ type, shape: wanted ? reshaped(shape, wanted, input) : ranked(rank, input), values }];
  },
  Flatten: ({ node, at, fresh }) => {
    const { type, shape } = at(0);
    const axis = intOf(node, 'axis', 1);
    const at2 = shape && axis < 0 ? axis + shape.length : axis;
    const two = shape && [productOf(shape.slice(0, at2)) ?? fresh(), productOf(shape.slice(at2)) ?? fresh()];
    return [{ type, shape: two ?? [fresh(), fresh()] }];
  },
  Unsqueeze: (input) => {
    const { type, shape, values } = input.at(0);
    const axes = numbersOf(input, 'axes', 1);
    if (!shape || !axes) return [{ type, values }];
    const rank = shape.length + axes.length;
    const ones = new Set(axes.map((axis) => (axis < 0 ? axis + rank : axis)));
    const rest = [...shape];
    return [{ type, shape: Array.from({ length: rank }, (_, i) => (ones.has(i) ? 1 : rest.shift()!)), values }];
  },
  Squeeze: (input) => {
    const { type, shape, values } = input.at(0);
    const axes = numbersOf(input, 'axes', 1);
    if (!shape || (!axes && input.node.inputs[1])) return [{ type, values }];
    const gone = axes && new Set(axes.map((axis) => (axis < 0 ? axis + shape.length : axis)));
    return [{ type, shape: shape.filter((size, i) => (gone ? !gone.has(i) : size !== 1)), values }];
  },
  Concat: concat,
  Split: split,
  Slice: slice,
  Gather: gather,
  GatherElements: ({ at }) => [{ type: at(0).type, shape: at(1).shape }],
  GatherND: ({ node, at }) => {
    const [{ type, shape }, { shape: indices }] = [at(0), at(1)];
    const depth = indices?.at(-1);
    const batch = intOf(node, 'batch_dims', 0);
    const isKnown = shape && indices && typeof depth === 'number';
    return [{ type, shape: isKnown ? [...indices.slice(0, -1), ...shape.slice(batch + depth)] : undefined }];
  },
  Expand: (input) => {
    const { type, shape } = input.at(0);
    const wanted = listOf(input, 'shape', 1);
    if (!shape || !wanted) return [{ type, shape: ranked(input.at(1).shape?.[0], input) }];
    return [
      {
        type,
        shape: broadcast(
          shape,
          wanted.map((size) => size ?? input.fresh()),
          input.fresh,
        ),
      },
    ];
  },
  Tile: (input) => {
    const { type, shape } = input.at(0);
    const times = input.at(1).values;
    return [
      {
        type,
        shape: shape?.map((size, i) =>
          times?.[i] === undefined ? input.fresh() : (multiplySizes(size, times[i]) ?? input.fresh()),
        ),
      },
    ];
  },
  ConstantOfShape: (input) => {
    const wanted = input.at(0).values;
    const { t } = input.node.proto.attribute.find(({ name }) => name === 'value') ?? {};
    const count = wanted?.length === 1 ? wanted[0] : undefined;
    const fill = t?.dataType === INT64 ? rawInt(t) : undefined;
    const values =
      typeof count === 'number' && count <= maxValues && fill !== undefined
        ? new Array<Size>(count).fill(fill)
        : undefined;
    return [
      {
        type: t?.dataType ?? FLOAT,
        shape: wanted?.map((size) => size ?? input.fresh()) ?? ranked(input.at(0).shape?.[0], input),
        values,
      },
    ];
  },
  Range: ({ at, fresh }) => {
    const [from, to, step] = [at(0).values?.[0], at(1).values?.[0], at(2).values?.[0]];
    const negative = from === undefined ? undefined : multiplySizes(from, -1);
    const length = step === 1 && to !== undefined && negative !== undefined ? addSizes(to, negative) : undefined;
    const values =
      typeof length === 'number' && length <= maxValues && typeof from === 'number' && length >= 0
        ? Array.from({ length }, (_, i) => from + i)
        : undefined;
    return [{ type: at(0).type, shape: [length ?? fresh()], values }];
  },
  Pad: ({ at, fresh }) => [{ type: at(0).type, shape: at(0).shape?.map(() => fresh()) }],
  OneHot: ({ at, fresh }) => [
    { type: at(2).type, shape: at(0).shape && [...at(0).shape!, at(1).values?.[0] ?? fresh()] },
  ],
  NonZero: ({ at, fresh }) => [{ type: INT64, shape: [at(0).shape?.length ?? fresh(), fresh()] }],
  TopK: (input) => {
    const { type, shape } = input.at(0);
    const axis = axisOf(intOf(input.node, 'axis', -1), shape?.length ?? 0);
    const kept = shape?.map((size, i) => (i === axis ? (input.at(1).values?.[0] ?? input.fresh()) : size));
    return [
      { type, shape: kept },
      { type: INT64, shape: kept },
    ];
  },
  EyeLike: ({ node, at }) => [{ type: intOf(node, 'dtype', at(0).type ?? FLOAT), shape: at(0).shape }],
  NonMaxSuppression: ({ fresh }) => [{ type: INT64, shape: [fresh(), 3] }],
  RandomNormalLike: ({ at }) => [at(0)],
};

export const inferLayout: FactRule = (input) => {
  const { operator } = input.node;
  if (operator.startsWith('Reduce') || operator === 'ArgMax' || operator === 'ArgMin') return [reduce(input)];
  return Object.hasOwn(rules, operator) ? rules[operator]!(input) : undefined;
};

function axisOf(axis: number, rank: number): number {
  return axis < 0 ? axis + rank : axis;
}

function ranked(rank: Size | undefined, { fresh }: RuleInput): Size[] | undefined {
  return typeof rank === 'number' && rank >= 0 && rank <= 16 ? Array.from({ length: rank }, fresh) : undefined;
}

function rawInt({ rawData, int64Data }: { rawData: Uint8Array; int64Data: bigint[] }): number | undefined {
  if (rawData.length >= 8) return Number(new DataView(rawData.buffer, rawData.byteOffset).getBigInt64(0, true));
  return int64Data.length > 0 ? Number(int64Data[0]) : undefined;
}

function reshaped(
  from: readonly Size[] | undefined,
  wanted: readonly (Size | undefined)[],
  { node, fresh }: RuleInput,
): Size[] {
  const keepsZero = intOf(node, 'allowzero', 0) === 1;
  const sizes = wanted.map((size, i) => (size === 0 && !keepsZero ? from?.[i] : size));
  const open = sizes.flatMap((size, i) => (size === -1 || size === undefined ? [i] : []));
  // A negative remainder or one unknown size: what the others leave.
  if (open.length === 1) {
    const total = from && productOf(from);
    const others = productOf(sizes.filter((_, i) => i !== open[0]));
    sizes[open[0]!] = total !== undefined && others !== undefined ? divideSizes(total, others) : undefined;
  }
  return sizes.map((size) => (size === undefined || size === -1 ? fresh() : size));
}

function reduce(input: RuleInput): TensorFacts {
  const { node } = input;
  const { type, shape, values } = input.at(0);
  const isArg = node.operator.startsWith('Arg');
  const axes = isArg ? [intOf(node, 'axis', 0)] : numbersOf(input, 'axes', 1);
  const keeps = intOf(node, 'keepdims', 1) === 1;
  if (!shape || (!axes && !isArg && node.inputs[1])) return { type };
  const gone = new Set(axes?.length ? axes.map((axis) => axisOf(axis, shape.length)) : shape.map((_, i) => i));
  const product = node.operator === 'ReduceProd' && shape.length === 1 && values ? [productOf(values)] : undefined;
  return {
    type: isArg ? INT64 : type,
    shape: keeps ? shape.map((size, i) => (gone.has(i) ? 1 : size)) : shape.filter((_, i) => !gone.has(i)),
    values: product,
  };
}

function concat(input: RuleInput): TensorFacts[] {
  const all = input.node.inputs.map((_, i) => input.at(i));
  const first = all.find(({ shape }) => shape);
  const type = all[0]?.type;
  if (!first?.shape) return [{ type }];
  const axis = axisOf(intOf(input.node, 'axis', 0), first.shape.length);
  const shape = first.shape.map((size, i) => {
    const sizes = all.map((each) => each.shape?.[i]);
    if (i !== axis) return sizes.find((each) => typeof each === 'number') ?? size;
    let sum: Size | undefined = 0;
    for (const each of sizes) sum = sum === undefined || each === undefined ? undefined : addSizes(sum, each);
    return sum ?? input.fresh();
  });
  const values =
    first.shape.length === 1 && all.every((each) => each.values) ? all.flatMap((each) => each.values!) : undefined;
  return [{ type, shape, values: values && values.length <= maxValues ? values : undefined }];
}

function split(input: RuleInput): TensorFacts[] {
  const { node, fresh } = input;
  const { type, shape, values } = input.at(0);
  const axis = axisOf(intOf(node, 'axis', 0), shape?.length ?? 0);
  const sizes = listOf(input, 'split', 1);
  const even = shape?.[axis] === undefined ? undefined : divideSizes(shape[axis], node.outputs.length);
  let from = 0;
  return node.outputs.map((_, i) => {
    const size = sizes?.[i] ?? (sizes ? undefined : even);
    const start = from;
    from = typeof size === 'number' ? from + size : Number.NaN;
    const own = shape?.length === 1 && values && from <= values.length ? values.slice(start, from) : undefined;
    return { type, shape: shape?.map((each, j) => (j === axis ? (size ?? fresh()) : each)), values: own };
  });
}

/** Before version 10 bounds are attributes. */
function slice(input: RuleInput): TensorFacts[] {
  const { type, shape, values } = input.at(0);
  if (!shape) return [{ type }];
  const [starts, ends] = [listOf(input, 'starts', 1), listOf(input, 'ends', 2)];
  const axes = numbersOf(input, 'axes', 3) ?? (input.node.inputs[3] ? undefined : starts?.map((_, i) => i));
  const steps = numbersOf(input, 'steps', 4) ?? starts?.map(() => 1);
  if (!starts || !ends || !axes || !steps) return [{ type, shape: shape.map(input.fresh) }];
  const sizes = [...shape];
  let kept = values;
  for (const [i, raw] of axes.entries()) {
    const axis = axisOf(raw, shape.length);
    const whole = shape[axis];
    if (whole === undefined) return [{ type }];
    const [start, end, step] = [bound(starts[i], whole), bound(ends[i], whole), steps[i]!];
    sizes[axis] = span(start, end, step) ?? input.fresh();
    if (shape.length === 1 && kept && typeof start === 'number' && typeof end === 'number' && step === 1)
      kept = kept.slice(start, end);
    else kept = undefined;
  }
  return [{ type, shape: sizes, values: kept }];
}

/** Where a bound lies, negative ones from the end, none behind it. */
function bound(at: Size | undefined, whole: Size): Size | undefined {
  if (typeof at !== 'number') return at;
  if (at >= 2 ** 31 - 1) return whole;
  if (typeof whole === 'number') return Math.max(0, Math.min(whole, at < 0 ? at + whole : at));
  return at < 0 ? (at < -(2 ** 31) + 2 ? 0 : addSizes(whole, at)) : at;
}

function span(start: Size | undefined, end: Size | undefined, step: number): Size | undefined {
  if (start === undefined || end === undefined) return undefined;
  if (typeof start === 'number' && typeof end === 'number')
    return step > 0 ? Math.max(0, Math.ceil((end - start) / step)) : undefined;
  const negative = multiplySizes(start, -1);
  return step === 1 && negative !== undefined ? addSizes(end, negative) : undefined;
}

function gather(input: RuleInput): TensorFacts[] {
  const [{ type, shape, values }, indices] = [input.at(0), input.at(1)];
  if (!shape || !indices.shape) return [{ type }];
  const axis = axisOf(intOf(input.node, 'axis', 0), shape.length);
  const picked =
    shape.length === 1 && values
      ? indices.values?.map((at) => (typeof at === 'number' ? values[at < 0 ? at + values.length : at] : undefined))
      : undefined;
  return [{ type, shape: [...shape.slice(0, axis), ...indices.shape, ...shape.slice(axis + 1)], values: picked }];
}

/** RMS and layer normalisation with what is fused into them: sums in float32 in one fixed order. */
import { multiplyAdd, storeLanes, sumOfLanes } from './vector';
import { endOf, firstOf } from './threads';

@unmanaged
class NormWords {
  opcode: i32;
  words: i32;
  kind: i32;
  groups: i32;
  size: i32;
  epsilon: f32;
  weight: usize;
  bias: usize;
  from: usize;
  fromStride: i32;
  add: usize;
  addStride: i32;
  addBias: usize;
  sum: usize;
  sumStride: i32;
  to: usize;
  toStride: i32;
}

const kindLayer = 1;

/** `words`: docs/simd-runtime.md, opcode 2. `to` and `sum` may be `from` or `add`. */
export function norm(words: usize, rows: i32): void {
  const step = changetype<NormWords>(words);
  const groups = step.groups;
  const size = step.size;
  for (let row = firstOf(rows), end = endOf(rows); row < end; row++) {
    const to = step.to + ((<usize>row * step.toStride) << 2);
    const x = addUp(step, row, to);
    for (let group = 0; group < groups; group++) {
      const offset = (<usize>group * size) << 2;
      normalise(step, x + offset, to + offset);
    }
  }
}

/** Returns where the row lies that is normalised. */
function addUp(step: NormWords, row: i32, to: usize): usize {
  const from = step.from + ((<usize>row * step.fromStride) << 2);
  const addend = step.add;
  const addBias = step.addBias;
  const sum = step.sum;
  if (!addend && !addBias && !sum) return from;
  const added = addend + ((<usize>row * step.addStride) << 2);
  const target = sum ? sum + ((<usize>row * step.sumStride) << 2) : to;
  const width = step.groups * step.size;
  for (let i = 0; i < width; i += 4) {
    const at = <usize>i << 2;
    let x = v128.load(from + at);
    if (addend) x = f32x4.add(x, v128.load(added + at));
    if (addBias) x = f32x4.add(x, v128.load(addBias + at));
    storeLanes(target + at, x, width - i);
  }
  return target;
}

function normalise(step: NormWords, x: usize, to: usize): void {
  const size = step.size;
  const weight = step.weight;
  const bias = step.bias;
  const mean: f32 = step.kind == kindLayer ? meanOf(x, size) : 0;
  const factor = f32x4.splat(<f32>(1 / Math.sqrt(spreadOf(x, size, mean) + <f64>step.epsilon)));
  const centre = f32x4.splat(mean);
  for (let i = 0; i < size; i += 4) {
    const at = <usize>i << 2;
    let y = f32x4.mul(f32x4.sub(v128.load(x + at), centre), factor);
    if (weight) y = f32x4.mul(y, v128.load(weight + at));
    if (bias) y = f32x4.add(y, v128.load(bias + at));
    storeLanes(to + at, y, size - i);
  }
}

function meanOf(x: usize, size: i32): f32 {
  let a = f32x4.splat(0);
  let b = a;
  let i = 0;
  for (; i + 8 <= size; i += 8) {
    const at = x + (<usize>i << 2);
    a = f32x4.add(a, v128.load(at));
    b = f32x4.add(b, v128.load(at, 16));
  }
  let sum = sumOfLanes(f32x4.add(a, b));
  for (; i < size; i++) sum += load<f32>(x + (<usize>i << 2));
  return <f32>(<f64>sum / <f64>size);
}

/** Mean of (x - mean)^2. */
function spreadOf(x: usize, size: i32, mean: f32): f64 {
  const centre = f32x4.splat(mean);
  let a = f32x4.splat(0);
  let b = a;
  let c = a;
  let d = a;
  let i = 0;
  for (; i + 16 <= size; i += 16) {
    const at = x + (<usize>i << 2);
    const p = f32x4.sub(v128.load(at), centre);
    const q = f32x4.sub(v128.load(at, 16), centre);
    const r = f32x4.sub(v128.load(at, 32), centre);
    const s = f32x4.sub(v128.load(at, 48), centre);
    a = multiplyAdd(p, p, a);
    b = multiplyAdd(q, q, b);
    c = multiplyAdd(r, r, c);
    d = multiplyAdd(s, s, d);
  }
  let sum = sumOfLanes(f32x4.add(f32x4.add(a, b), f32x4.add(c, d)));
  for (; i < size; i++) {
    const difference = load<f32>(x + (<usize>i << 2)) - mean;
    sum += difference * difference;
  }
  return isFinite(sum) ? <f64>sum / <f64>size : spreadOfLarge(x, size, mean);
}

/** For numbers from 1e18 on, whose squares are no float32. */
function spreadOfLarge(x: usize, size: i32, mean: f32): f64 {
  let sum: f64 = 0;
  for (let i = 0; i < size; i++) {
    const difference = <f64>load<f32>(x + (<usize>i << 2)) - <f64>mean;
    sum += difference * difference;
  }
  return sum / <f64>size;
}

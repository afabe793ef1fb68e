/** Steps that go number by number. Rows may be changed in place. */
import { activate } from './activation';
import { storeLanes } from './vector';
import { endOf, firstOf } from './threads';

@unmanaged
class UnaryWords {
  opcode: i32;
  words: i32;
  name: i32;
  width: i32;
  from: usize;
  fromStride: i32;
  to: usize;
  toStride: i32;
}

@unmanaged
class GluWords {
  opcode: i32;
  words: i32;
  name: i32;
  width: i32;
  gate: usize;
  gateStride: i32;
  up: usize;
  upStride: i32;
  to: usize;
  toStride: i32;
}

@unmanaged
class BinaryWords {
  opcode: i32;
  words: i32;
  name: i32;
  kind: i32;
  width: i32;
  left: usize;
  leftStride: i32;
  right: usize;
  rightStride: i32;
  to: usize;
  toStride: i32;
}

/** `words`: docs/simd-runtime.md, opcode 6. */
export function unary(words: usize, rows: i32): void {
  const step = changetype<UnaryWords>(words);
  switch (step.name) {
    case 0:
      return unaryOf(0, step, rows);
    case 1:
      return unaryOf(1, step, rows);
    case 2:
      return unaryOf(2, step, rows);
    case 3:
      return unaryOf(3, step, rows);
    case 4:
      return unaryOf(4, step, rows);
    case 5:
      return unaryOf(5, step, rows);
    default:
      return unaryOf(6, step, rows);
  }
}

@inline
function unaryOf(name: i32, step: UnaryWords, rows: i32): void {
  for (let row = firstOf(rows), end = endOf(rows); row < end; row++) {
    const from = step.from + ((<usize>row * step.fromStride) << 2);
    const to = step.to + ((<usize>row * step.toStride) << 2);
    for (let i = 0; i < step.width; i += 4) {
      const at = <usize>i << 2;
      storeLanes(to + at, activate(name, v128.load(from + at)), step.width - i);
    }
  }
}

/** activation(gate) * up. `words`: docs/simd-runtime.md, opcode 7. */
export function glu(words: usize, rows: i32): void {
  const step = changetype<GluWords>(words);
  switch (step.name) {
    case 0:
      return gluOf(0, step, rows);
    case 1:
      return gluOf(1, step, rows);
    case 2:
      return gluOf(2, step, rows);
    case 3:
      return gluOf(3, step, rows);
    case 4:
      return gluOf(4, step, rows);
    case 5:
      return gluOf(5, step, rows);
    default:
      return gluOf(6, step, rows);
  }
}

@inline
function gluOf(name: i32, step: GluWords, rows: i32): void {
  for (let row = firstOf(rows), end = endOf(rows); row < end; row++) {
    const gate = step.gate + ((<usize>row * step.gateStride) << 2);
    const up = step.up + ((<usize>row * step.upStride) << 2);
    const to = step.to + ((<usize>row * step.toStride) << 2);
    for (let i = 0; i < step.width; i += 4) {
      const at = <usize>i << 2;
      const product = f32x4.mul(activate(name, v128.load(gate + at)), v128.load(up + at));
      storeLanes(to + at, product, step.width - i);
    }
  }
}

/** `words`: docs/simd-runtime.md, opcode 8. */
export function binary(words: usize, rows: i32): void {
  const step = changetype<BinaryWords>(words);
  switch (step.name) {
    case 0:
      return binaryOf(0, step, rows);
    case 1:
      return binaryOf(1, step, rows);
    case 2:
      return binaryOf(2, step, rows);
    default:
      return binaryOf(3, step, rows);
  }
}

@inline
function binaryOf(name: i32, step: BinaryWords, rows: i32): void {
  const isNumber = step.kind == 2;
  const number = f32x4.splat(reinterpret<f32>(<u32>step.right));
  const rightStride = step.kind == 0 ? <usize>step.rightStride << 2 : 0;
  for (let row = firstOf(rows), end = endOf(rows); row < end; row++) {
    const left = step.left + ((<usize>row * step.leftStride) << 2);
    const right = step.right + <usize>row * rightStride;
    const to = step.to + ((<usize>row * step.toStride) << 2);
    for (let i = 0; i < step.width; i += 4) {
      const at = <usize>i << 2;
      const operand = isNumber ? number : v128.load(right + at);
      storeLanes(to + at, combine(name, v128.load(left + at), operand), step.width - i);
    }
  }
}

@inline
function combine(name: i32, a: v128, b: v128): v128 {
  if (name == 0) return f32x4.add(a, b);
  if (name == 1) return f32x4.sub(a, b);
  return name == 2 ? f32x4.mul(a, b) : f32x4.div(a, b);
}

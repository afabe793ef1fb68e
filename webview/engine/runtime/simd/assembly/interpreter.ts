/** Walks through the words of a plan (docs/simd-runtime.md): one run of a decoder is one call. */
import { attention } from './attention';
import { binary, glu, unary } from './elementwise';
import { gatherRows } from './gather';
import { linearFloat } from './linear-float';
import { kindQ8, Matrix } from './linear-matrix';
import { firstRowOf, rowsOfThread } from './linear-part';
import { linearQuantised } from './linear-quantised';
import { MachineState } from './machine-state';
import { norm } from './norm';
import { quantiseRows } from './quantise';
import { rotary } from './rotary';
import { isFirst, meet } from './threads';

@unmanaged
class EmbedWords {
  opcode: i32;
  words: i32;
  by: i32;
  matrix: usize;
  to: usize;
  toStride: i32;
}

@unmanaged
class LinearWords {
  opcode: i32;
  words: i32;
  matrix: usize;
  bias: usize;
  from: usize;
  fromStride: i32;
  to: usize;
  toStride: i32;
  isReused: i32;
}

@unmanaged
class SelectWords {
  opcode: i32;
  words: i32;
  address: usize;
  stride: i32;
  width: i32;
  isLast: i32;
}

/** `plan` and `state` as docs/simd-runtime.md lays them out, `rows` tokens of all segments. */
export function run(plan: usize, rows: i32, state: usize): void {
  const machine = changetype<MachineState>(state);
  for (let at = plan; ; at += <usize>load<i32>(at, 4) << 2) {
    meetBefore(at);
    switch (load<i32>(at)) {
      case 1:
        embed(at, rows, machine);
        break;
      case 2:
        norm(at, rows);
        break;
      case 3:
        linear(at, rows, machine);
        break;
      case 4:
        rotary(at, rows, machine.positions);
        break;
      case 5:
        attention(at, rows, state);
        break;
      case 6:
        unary(at, rows);
        break;
      case 7:
        glu(at, rows);
        break;
      case 8:
        binary(at, rows);
        break;
      case 9:
        rows = select(at, rows, machine);
        if (rows == 0) return;
        break;
      default:
        return;
    }
  }
}

/** Steps read what those before have written, on other threads too. Products that share their activations do not. */
@inline
function meetBefore(words: usize): void {
  if (ASC_FEATURE_THREADS) {
    if (load<i32>(words) != 3 || !changetype<LinearWords>(words).isReused) meet();
  }
}

function embed(words: usize, rows: i32, machine: MachineState): void {
  const step = changetype<EmbedWords>(words);
  gatherRows(step.matrix, step.by == 0 ? machine.ids : machine.positions, rows, step.to, step.toStride);
}

function linear(words: usize, rows: i32, machine: MachineState): void {
  const step = changetype<LinearWords>(words);
  const matrix = changetype<Matrix>(step.matrix);
  if (ASC_FEATURE_THREADS) return linearOfThread(step, matrix, rows, machine);
  if (machine.arithmetic != 0 || matrix.kind > kindQ8)
    return linearFloat(step.matrix, rows, step.from, step.fromStride, step.bias, step.to, step.toStride);
  if (!step.isReused) quantiseRows(step.from, step.fromStride, rows, matrix.columns, machine.quantised);
  linearQuantised(step.matrix, rows, machine.quantised, step.bias, step.to, step.toStride);
}

/** As `linear`, the part of this thread. */
function linearOfThread(step: LinearWords, matrix: Matrix, rows: i32, machine: MachineState): void {
  const isFloat = matrix.kind > kindQ8;
  if (machine.arithmetic == 0 && !isFloat && !step.isReused) {
    quantiseRows(step.from, step.fromStride, rows, matrix.columns, machine.quantised);
    meet();
  }
  const part = rowsOfThread(matrix, isFloat);
  if (part) multiplyPart(step, matrix, part, rows, machine);
  if (matrix.rows & 7) meet(); // rows that pad the matrix are written over the next slice of the buffer
}

function multiplyPart(step: LinearWords, matrix: Matrix, part: usize, rows: i32, machine: MachineState): void {
  const offset = <usize>firstRowOf(matrix) << 2;
  const bias = step.bias ? step.bias + offset : 0;
  const to = step.to + offset;
  if (machine.arithmetic != 0 || matrix.kind > kindQ8)
    linearFloat(part, rows, step.from, step.fromStride, bias, to, step.toStride);
  else linearQuantised(part, rows, machine.quantised, bias, to, step.toStride);
}

/** Moves the selected rows of a buffer to its front; returns how many rows go on. */
function select(words: usize, rows: i32, machine: MachineState): i32 {
  const step = changetype<SelectWords>(words);
  const rowBytes = <usize>step.stride << 2;
  if (!isFirst()) return step.isLast ? machine.selectedCount : rows;
  for (let i = 0; i < machine.selectedCount; i++) {
    const from = load<i32>(machine.selected + (<usize>i << 2));
    const to = step.address + <usize>i * rowBytes;
    if (from != i) memory.copy(to, step.address + <usize>from * rowBytes, <usize>step.width << 2);
  }
  return step.isLast ? machine.selectedCount : rows;
}

/**
 * Writes a plan into the memory of a machine: buffers, constants, and one row of words per step that the kernels walk
 * through. `docs/simd-runtime.md` lists the words.
 */

import type { Machine } from './machine.ts';
import type { LinearWeight, Plan, Slice, Step } from './plan.ts';

/** A matrix in the machine's memory. */
export interface PackedMatrix {
  readonly descriptor: number;
  /** Columns that share a scale of activations; undefined: they stay float32. */
  readonly activationBlock: 16 | 32 | undefined;
  /** Data and scales. */
  readonly sizeBytes: number;
}

export interface EncodeOptions {
  /** Rows that a run has at most. */
  readonly maxRows: number;
  readonly pack: (weight: LinearWeight) => PackedMatrix;
}

export interface EncodedPlan {
  readonly words: number;
  /** [maxRows, stride] float32. */
  readonly logits: { readonly address: number; readonly stride: number };
  /** Floats in the widest input of a linear step, rounded up to whole blocks of 32. */
  readonly widestInput: number;
  /** What one token reads of the weights; rows of embeddings apart. */
  readonly weightBytesRead: number;
}

const opcodes = {
  end: 0,
  embed: 1,
  norm: 2,
  linear: 3,
  rotary: 4,
  attention: 5,
  unary: 6,
  glu: 7,
  binary: 8,
  select: 9,
} as const;

const activations = ['silu', 'gelu', 'gelu-tanh', 'gelu-quick', 'relu', 'sigmoid', 'tanh'] as const;
const arithmetic = ['add', 'subtract', 'multiply', 'divide'] as const;

export function encodePlan(machine: Machine, plan: Plan, options: EncodeOptions): EncodedPlan {
  const encoder = new Encoder(machine, plan, options);
  for (const [index, step] of plan.steps.entries()) encoder.add(step, plan.steps[index - 1]);
  return encoder.finish();
}

/** A float among words. */
class Float {
  readonly value: number;
  constructor(value: number) {
    this.value = value;
  }
}
type Word = number | Float;

/** In floats. */
const strideOf = (width: number) => Math.ceil(width / 8) * 8;

class Encoder {
  readonly #machine: Machine;
  readonly #plan: Plan;
  readonly #pack: EncodeOptions['pack'];
  readonly #buffers: readonly { readonly address: number; readonly stride: number }[];
  readonly #stored = new Map<Float32Array, number>();
  readonly #words: Word[] = [];
  readonly #read = new Set<PackedMatrix>();
  #widestInput = 0;

  constructor(machine: Machine, plan: Plan, { maxRows, pack }: EncodeOptions) {
    this.#machine = machine;
    this.#plan = plan;
    this.#pack = pack;
    this.#buffers = plan.buffers.map((width) => {
      const stride = strideOf(width);
      return { address: machine.allocate(maxRows * stride * 4), stride };
    });
  }

  finish(): EncodedPlan {
    this.#push(opcodes.end, []);
    const data = new DataView(new ArrayBuffer(this.#words.length * 4));
    for (const [at, word] of this.#words.entries()) {
      if (word instanceof Float) data.setFloat32(at * 4, word.value, true);
      else data.setInt32(at * 4, word, true);
    }
    const words = this.#machine.store(new Int32Array(data.buffer));
    const [address, stride] = this.#at(this.#plan.logits);
    const weightBytesRead = [...this.#read].reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
    return { words, logits: { address, stride }, widestInput: this.#widestInput, weightBytesRead };
  }

  add(step: Step, before: Step | undefined): void {
    switch (step.op) {
      case 'embed':
        return this.#push(opcodes.embed, [
          step.by === 'token' ? 0 : 1,
          this.#pack(step.table).descriptor,
          ...this.#at(step.to),
        ]);
      case 'norm':
        return this.#norm(step);
      case 'linear':
        return this.#linear(step, before);
      case 'rotary':
        return this.#push(opcodes.rotary, [
          ...this.#at(step.at),
          ...[step.heads, step.headDim, step.rotaryDim, step.isInterleaved ? 1 : 0],
          ...[this.#constant(step.cos), this.#constant(step.sin)],
        ]);
      case 'attention':
        return this.#attention(step);
      case 'unary':
        return this.#push(opcodes.unary, [
          activations.indexOf(step.function),
          step.to.width,
          ...this.#at(step.from),
          ...this.#at(step.to),
        ]);
      case 'glu':
        return this.#push(opcodes.glu, [
          ...[activations.indexOf(step.function), step.to.width],
          ...[...this.#at(step.gate), ...this.#at(step.up), ...this.#at(step.to)],
        ]);
      case 'binary':
        return this.#binary(step);
      case 'select':
        return this.#select(step);
    }
  }

  #norm(step: Extract<Step, { op: 'norm' }>): void {
    const size = step.from.width / step.groups;
    this.#push(opcodes.norm, [
      ...[step.kind === 'rms' ? 0 : 1, step.groups, size, new Float(step.epsilon)],
      ...[this.#constant(step.weight), this.#constant(step.bias)],
      ...this.#at(step.from),
      ...this.#optional(step.add),
      this.#constant(step.addBias),
      ...this.#optional(step.sum),
      ...this.#at(step.to),
    ]);
  }

  #linear(step: Extract<Step, { op: 'linear' }>, before: Step | undefined): void {
    const matrix = this.#pack(step.weight);
    const { descriptor, activationBlock } = matrix;
    this.#read.add(matrix);
    const isReused =
      before?.op === 'linear' &&
      isSame(before.from, step.from) &&
      !overlaps(before.to, step.from) &&
      activationBlock !== undefined &&
      this.#pack(before.weight).activationBlock === activationBlock;
    this.#widestInput = Math.max(this.#widestInput, Math.ceil(step.from.width / 32) * 32);
    this.#push(opcodes.linear, [
      descriptor,
      this.#constant(step.bias),
      ...this.#at(step.from),
      ...this.#at(step.to),
      isReused ? 1 : 0,
    ]);
  }

  #attention(step: Extract<Step, { op: 'attention' }>): void {
    this.#push(opcodes.attention, [
      ...[step.layer, step.heads, step.kvHeads, step.headDim],
      ...[new Float(step.scale), new Float(step.softcap ?? 0), step.window ?? 0, this.#constant(step.sinks)],
      ...[...this.#at(step.query), ...this.#at(step.key), ...this.#at(step.value), ...this.#at(step.to)],
      ...[...this.#optional(step.residual), step.residual?.width ?? 0],
    ]);
  }

  #binary({ function: name, left, right, to }: Extract<Step, { op: 'binary' }>): void {
    const [kind, operand, stride]: [number, Word, number] =
      typeof right === 'number'
        ? [2, new Float(right), 0]
        : right instanceof Float32Array
          ? [1, this.#constant(right), 0]
          : [0, ...this.#at(right)];
    this.#push(opcodes.binary, [
      ...[arithmetic.indexOf(name), kind, to.width],
      ...[...this.#at(left), operand, stride, ...this.#at(to)],
    ]);
  }

  #select({ buffers }: Extract<Step, { op: 'select' }>): void {
    for (const [index, buffer] of buffers.entries()) {
      const { address, stride } = this.#buffers[buffer]!;
      const isLast = index === buffers.length - 1;
      this.#push(opcodes.select, [address, stride, this.#plan.buffers[buffer]!, isLast ? 1 : 0]);
    }
  }

  #push(opcode: number, words: readonly Word[]): void {
    this.#words.push(opcode, words.length + 2, ...words);
  }

  #at({ buffer, offset }: Slice): [address: number, stride: number] {
    const { address, stride } = this.#buffers[buffer]!;
    return [address + offset * 4, stride];
  }

  #optional(slice: Slice | undefined): [address: number, stride: number] {
    return slice ? this.#at(slice) : [0, 0];
  }

  #constant(data: Float32Array | undefined): number {
    if (!data) return 0;
    const known = this.#stored.get(data);
    if (known !== undefined) return known;
    const padded = new Float32Array(strideOf(data.length)); // kernels read whole vectors
    padded.set(data);
    const address = this.#machine.store(padded);
    this.#stored.set(data, address);
    return address;
  }
}

function isSame(a: Slice, b: Slice): boolean {
  return a.buffer === b.buffer && a.offset === b.offset && a.width === b.width;
}

function overlaps(a: Slice, b: Slice): boolean {
  return a.buffer === b.buffer && a.offset < b.offset + b.width && b.offset < a.offset + a.width;
}

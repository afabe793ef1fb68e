/** A plan of every opcode, its words written by hand, against the same plan in float64. */
import { describe, expect, test } from 'vitest';
import type { FloatWeight, LinearWeight, Plan, TensorRef } from '../../../../webview/engine/runtime/simd/plan.ts';
import { Float, KernelMemory } from '../../support/kernel-memory.ts';
import { builds, type Kernels, openKernels } from '../../support/kernels.ts';
import { PlanReference } from '../../support/plan-reference.ts';
import { createRandom } from '../../support/random.ts';

const random = createRandom(12);
const floats = (length: number, size = 1) => Float32Array.from({ length }, () => (random() - 0.5) * size);
const tensor = (name: string, dims: number[], type: TensorRef['type'], data: Float32Array | Uint8Array): TensorRef => ({
  name,
  dims,
  type,
  source: { bytes: new Uint8Array(data.buffer, data.byteOffset, data.byteLength) },
});
const bytesOf = ({ source }: TensorRef) => ('bytes' in source ? source.bytes : new Uint8Array(0));

const [vocab, hidden, headDim, inner, positions, padded8] = [17, 12, 6, 10, 40, 24];

function floatWeight(rows: number, columns: number): FloatWeight {
  return {
    kind: 'float',
    rows,
    columns,
    tensor: tensor('w', [rows, columns], 'float32', floats(rows * columns)),
    isTransposed: false,
  };
}

/** One block of 8-bit numbers a row. */
function byteWeight(rows: number, columns: number) {
  const quantised = Uint8Array.from({ length: rows * 32 }, (_, i) => (i % 32 < columns ? random() * 256 : 128));
  const scales = floats(rows, 0.02);
  return {
    weight: {
      ...({ kind: 'blocks', bits: 8, blockSize: 32, rows, columns, zeroPoints: 128 } as const),
      quantised: tensor('q', [rows, 1, 32], 'uint8', quantised),
      scales: tensor('s', [rows, 1], 'float32', scales),
    } satisfies LinearWeight,
    quantised,
    scales,
  };
}

const weights = {
  tokens: floatWeight(vocab, hidden),
  positions: floatWeight(positions, hidden),
  qkv: floatWeight(4 * headDim, hidden),
  out: floatWeight(hidden, 2 * headDim),
  gate: byteWeight(inner, hidden),
  up: byteWeight(inner, hidden),
  down: floatWeight(hidden, inner),
  head: floatWeight(vocab, hidden),
};
const vectors = { norm: floats(hidden), shift: floats(hidden), bias: floats(padded8), sinks: floats(2) };
const angle = (i: number) => Math.floor(i / 3) / 3 ** (i % 3);
const cos = Float32Array.from({ length: positions * 3 }, (_, i) => Math.cos(angle(i)));
const sin = Float32Array.from({ length: positions * 3 }, (_, i) => Math.sin(angle(i)));

const slice = (buffer: number, offset: number, width: number) => ({ buffer, offset, width });
const [x, n, act] = [slice(0, 0, hidden), slice(1, 0, hidden), slice(5, 0, inner)];
const [query, key, value] = [slice(2, 0, 12), slice(2, 12, 6), slice(2, 18, 6)];
const attended = slice(3, 0, 12);
const [gate, up] = [slice(4, 0, inner), slice(4, inner, inner)];
const logits = slice(6, 0, vocab);
const heads = { headDim, rotaryDim: headDim, isInterleaved: false, cos, sin };
const epsilon = 1e-6;

const plan: Plan = {
  ...{ layers: 1, heads: 2, kvHeads: 1, headDim, vocabSize: vocab, maxPositions: positions },
  buffers: [hidden, hidden, 24, 12, 26, inner, vocab],
  steps: [
    { op: 'embed', by: 'token', table: weights.tokens, to: x },
    { op: 'embed', by: 'position', table: weights.positions, to: n },
    { op: 'binary', function: 'add', left: x, right: n, to: x },
    { op: 'norm', kind: 'rms', from: x, groups: 1, epsilon, weight: vectors.norm, to: n },
    { op: 'linear', from: n, weight: weights.qkv, bias: vectors.bias, to: slice(2, 0, 24) },
    { op: 'rotary', at: query, heads: 2, ...heads },
    { op: 'rotary', at: key, heads: 1, ...heads },
    {
      ...({ op: 'attention', layer: 0, query, key, value, heads: 2, kvHeads: 1, headDim, scale: 0.5 } as const),
      ...{ sinks: vectors.sinks, residual: x, to: attended },
    },
    { op: 'linear', from: attended, weight: weights.out, to: n },
    { op: 'norm', kind: 'layer', from: n, add: x, sum: x, groups: 2, epsilon, bias: vectors.shift, to: n },
    { op: 'linear', from: n, weight: weights.gate.weight, to: gate },
    { op: 'linear', from: n, weight: weights.up.weight, to: up },
    { op: 'glu', function: 'silu', gate, up, to: act },
    { op: 'unary', function: 'gelu', from: act, to: act },
    { op: 'select', buffers: [0, 5] },
    { op: 'linear', from: act, weight: weights.down, to: n },
    { op: 'binary', function: 'subtract', left: x, right: n, to: x },
    { op: 'linear', from: x, weight: weights.head, to: logits },
    { op: 'binary', function: 'multiply', left: logits, right: 0.25, to: logits },
  ],
  logits,
};

interface Machine {
  readonly memory: KernelMemory;
  readonly words: number;
  readonly logits: number;
}

const strideOf = (width: number) => Math.ceil(width / 8) * 8;
const mostRows = 20;

function packFloats(memory: KernelMemory, { rows, columns, tensor: { source } }: FloatWeight): number {
  const data = 'bytes' in source ? source.bytes : new Uint8Array(0);
  const from = new Float32Array(data.buffer, data.byteOffset, rows * columns);
  const rows8 = strideOf(rows);
  const packed = new Float32Array(rows8 * columns);
  for (let row = 0; row < rows; row++)
    for (let column = 0; column < columns; column++)
      packed[((row >> 3) * columns + column) * 8 + (row & 7)] = from[row * columns + column]!;
  return memory.words([2, rows8, columns, 32, 0, memory.floats(packed), 32, 0, rows, columns, 0, 0]);
}

function packBytes(memory: KernelMemory, { weight, quantised, scales }: ReturnType<typeof byteWeight>): number {
  const { rows, columns } = weight;
  const rows8 = strideOf(rows);
  const record = 8 * 32 + 2 * 32;
  const packed = new Uint8Array((rows8 / 8) * record);
  const view = new DataView(packed.buffer);
  for (let row = 0; row < rows; row++) {
    const at = (row >> 3) * record;
    const [quad, lane] = [(row >> 2) & 1, row & 3];
    for (let column = 0; column < 32; column++)
      packed[at + ((column >> 2) * 2 + quad) * 16 + lane * 4 + (column & 3)] = quantised[row * 32 + column]!;
    view.setFloat32(at + 256 + quad * 32 + lane * 4, scales[row]!, true);
    view.setFloat32(at + 256 + quad * 32 + 16 + lane * 4, -128 * scales[row]!, true);
  }
  const data = memory.floats(new Float32Array(packed.buffer));
  return memory.words([1, rows8, 32, 32, 0, data, record, 0, rows, columns, 0, 0]);
}

/** The plan above, word by word. */
function encode(kernels: Kernels): Machine {
  const memory = new KernelMemory(kernels);
  const strides = plan.buffers.map(strideOf);
  const addresses = strides.map((stride) => memory.allocate(mostRows * stride * 4));
  const at = ({ buffer, offset }: { buffer: number; offset: number }) => [
    addresses[buffer]! + offset * 4,
    strides[buffer]!,
  ];
  const words: (number | Float)[] = [];
  const step = (opcode: number, ...rest: (number | Float)[]) => words.push(opcode, rest.length + 2, ...rest);
  const linear = (matrix: number, from: typeof x, to: typeof x, bias = 0, isReused = 0) =>
    step(3, matrix, bias, ...at(from), ...at(to), isReused);
  const tables = [memory.floats(cos), memory.floats(sin)];
  const eps = new Float(epsilon);

  step(1, 0, packFloats(memory, weights.tokens), ...at(x));
  step(1, 1, packFloats(memory, weights.positions), ...at(n));
  step(8, 0, 0, hidden, ...at(x), ...at(n), ...at(x));
  step(2, 0, 1, hidden, eps, memory.floats(vectors.norm), 0, ...at(x), 0, 0, 0, 0, 0, ...at(n));
  linear(packFloats(memory, weights.qkv), n, query, memory.floats(vectors.bias));
  step(4, ...at(query), 2, headDim, headDim, 0, ...tables);
  step(4, ...at(key), 1, headDim, headDim, 0, ...tables);
  const attention = [0, 2, 1, headDim, new Float(0.5), new Float(0), 0, memory.floats(vectors.sinks)];
  step(5, ...attention, ...[query, key, value, attended, x].flatMap(at), hidden);
  linear(packFloats(memory, weights.out), attended, n);
  step(2, 1, 2, 6, eps, 0, memory.floats(vectors.shift), ...at(n), ...at(x), 0, ...at(x), ...at(n));
  linear(packBytes(memory, weights.gate), n, gate);
  linear(packBytes(memory, weights.up), n, up, 0, 1);
  step(7, 0, inner, ...at(gate), ...at(up), ...at(act));
  step(6, 1, inner, ...at(act), ...at(act));
  step(9, ...at(x), hidden, 0);
  step(9, ...at(act), inner, 1);
  linear(packFloats(memory, weights.down), act, n);
  step(8, 1, 0, hidden, ...at(x), ...at(n), ...at(x));
  linear(packFloats(memory, weights.head), x, logits);
  step(8, 2, 2, vocab, ...at(logits), new Float(0.25), 0, ...at(logits));
  step(0);
  return { memory, words: memory.words(words), logits: addresses[6]! };
}

class Runner {
  readonly #kernels: Kernels;
  readonly #machine: Machine;
  readonly #pages: number[];
  #past = 0;

  constructor(kernels: Kernels) {
    this.#kernels = kernels;
    this.#machine = encode(kernels);
    this.#pages = [0, 0].map(() => this.#machine.memory.allocate(32 * (6 + 8) * 4));
  }

  run(tokens: readonly number[], selected: readonly number[], arithmetic: 0 | 1, gates?: Float32Array): Float32Array[] {
    const { memory, words, logits: at } = this.#machine;
    const row = memory.words(tokens.map((_, i) => this.#past + i));
    const segments = memory.words([0, tokens.length, this.#past, memory.words(this.#pages)]);
    const [quantised, scratch] = [memory.allocate(mostRows * 64), memory.allocate((160 * 8 + 2304) * 4)];
    const state = memory.words([
      ...[row, 1, segments, selected.length, memory.words(selected), memory.words(tokens), arithmetic],
      ...[gates ? memory.floats(gates) : 0, 0, quantised, 0, 0, scratch, 4],
    ]);
    memory.write(at, new Float32Array(mostRows * strideOf(vocab)).fill(5));
    this.#kernels.exports.run!(words, tokens.length, state);
    this.#past += tokens.length;
    return tokens.map((_, i) => memory.read(at + i * strideOf(vocab) * 4, vocab));
  }
}

function distance(actual: readonly ArrayLike<number>[], expected: readonly ArrayLike<number>[]): number {
  return Math.max(...expected.flatMap((row, i) => Array.from(row, (one, j) => Math.abs(one - actual[i]![j]!))));
}

describe.each(builds)('%s', async (build) => {
  const kernels = await openKernels(build);
  const tokens = Array.from({ length: 36 }, (_, i) => (i * 7) % vocab);

  test('every opcode, over several runs', () => {
    const [runner, reference] = [new Runner(kernels), new PlanReference(plan, bytesOf)];
    for (const [from, to] of [
      [0, 5],
      [5, 6],
      [6, 25],
      [25, 36],
    ] as const) {
      const part = tokens.slice(from, to);
      const rows = part.map((_, row) => row);
      expect(distance(runner.run(part, rows, 1), reference.forward(part).logits)).toBeLessThan(2e-6);
    }
  });

  test('int8 activations are near, and are not float32', () => {
    const rows = [...Array(10).keys()];
    const { logits: expected } = new PlanReference(plan, bytesOf).forward(tokens.slice(0, 10));
    const error = distance(new Runner(kernels).run(tokens.slice(0, 10), rows, 0), expected);
    expect(error).toBeLessThan(0.02);
    expect(error).toBeGreaterThan(2e-5);
  });

  test('rows that are selected are those of all, and none ends the run', () => {
    const part = tokens.slice(0, 9);
    const all = new Runner(kernels).run(part, [...Array(9).keys()], 1);
    const some = new Runner(kernels).run(part, [1, 4, 8], 1);
    expect(some.slice(0, 3)).toEqual([all[1], all[4], all[8]]);
    expect(new Runner(kernels).run(part, [], 1).flatMap((row) => [...row])).toEqual(new Array(9 * vocab).fill(5));
  });

  test('gates', () => {
    const gates = Float32Array.of(0, 1.5);
    const part = tokens.slice(0, 9);
    const { logits: expected } = new PlanReference(plan, bytesOf).forward(part, { gates });
    expect(distance(new Runner(kernels).run(part, [...Array(9).keys()], 1, gates), expected)).toBeLessThan(2e-6);
  });
});

/** What tests take a plan's weights to be: each kind, written out by hand. */
import { expect, test } from 'vitest';
import type { LinearWeight, TensorRef, TensorType } from '../../../../webview/engine/runtime/simd/plan.ts';
import { weightRows } from '../../support/plan-weights.ts';

const tensor = (dims: number[], type: TensorType, data: ArrayBufferView): TensorRef => ({
  name: 'w',
  dims,
  type,
  source: { bytes: new Uint8Array(data.buffer as ArrayBuffer, data.byteOffset, data.byteLength) },
});
const read = ({ source }: TensorRef) => ('bytes' in source ? source.bytes : new Uint8Array(0));

/** 2 rows of 3 blocks of 16, of which 40 columns count. The lower half of a byte is the earlier number. */
const nibbles = Uint8Array.from({ length: 2 * 3 * 8 }, (_, i) => (i % 16) * 16 + ((i * 3) % 16));
const nibble = (row: number, column: number) => {
  const byte = nibbles[row * 24 + (column >> 1)]!;
  return column % 2 ? byte >> 4 : byte & 15;
};
const blocks = {
  ...({ kind: 'blocks', bits: 4, blockSize: 16, rows: 2, columns: 40 } as const),
  quantised: tensor([2, 3, 8], 'uint8', nibbles),
  scales: tensor([2, 3], 'float32', Float32Array.of(1, 2, 4, 0.5, 0.25, 8)),
};
const scales = [1, 2, 4, 0.5, 0.25, 8];

const bytes = Int8Array.of(1, -2, 3, -4, 5, 127);
const halves = Uint16Array.of(0x3c00, 0xc000, 0x3800, 0, 0x4200, 0x0001); // 1, -2, 0.5, 0, 3, 2^-24
const brains = Uint16Array.of(0x3f80, 0xc000, 0x3f00, 0, 0x4040, 0x3e80); // 1, -2, 0.5, 0, 3, 0.25
const float = { kind: 'float', rows: 2, columns: 3 } as const;
const channels = { kind: 'channels', rows: 2, columns: 3 } as const;

const cases: [name: string, weight: LinearWeight, expected: (row: number, column: number) => number][] = [
  [
    '4 bits, one zero point',
    { ...blocks, zeroPoints: 8 },
    (row, column) => (nibble(row, column) - 8) * scales[row * 3 + (column >> 4)]!,
  ],
  [
    '4 bits, zero points two in a byte, a row beginning with a new one',
    { ...blocks, zeroPoints: tensor([2, 2], 'uint8', Uint8Array.of(0x21, 0x03, 0x54, 0x06)) },
    (row, column) => (nibble(row, column) - (row * 3 + (column >> 4) + 1)) * scales[row * 3 + (column >> 4)]!,
  ],
  [
    '4 bits, float zero points',
    { ...blocks, zeroPoints: tensor([2, 3], 'float32', Float32Array.of(0.5, 1.5, 2.5, 3.5, 4.5, 5.5)) },
    (row, column) => (nibble(row, column) - (row * 3 + (column >> 4) + 0.5)) * scales[row * 3 + (column >> 4)]!,
  ],
  [
    'float16',
    { ...float, tensor: tensor([2, 3], 'float16', halves), isTransposed: false },
    (row, column) => [1, -2, 0.5, 0, 3, 2 ** -24][row * 3 + column]!,
  ],
  [
    'bfloat16, transposed',
    { ...float, tensor: tensor([3, 2], 'bfloat16', brains), isTransposed: true },
    (row, column) => [1, -2, 0.5, 0, 3, 0.25][column * 2 + row]!,
  ],
  [
    'int8 by rows, transposed',
    {
      ...channels,
      tensor: tensor([3, 2], 'int8', bytes),
      isTransposed: true,
      scales: Float32Array.of(2, 0.5),
      zeroPoints: Float32Array.of(1, -1),
    },
    (row, column) => (bytes[column * 2 + row]! - (row ? -1 : 1)) * (row ? 0.5 : 2),
  ],
  [
    'uint8, one scale for all',
    {
      ...channels,
      tensor: tensor([2, 3], 'uint8', Uint8Array.of(0, 255, 128, 127, 1, 2)),
      isTransposed: false,
      scales: Float32Array.of(0.5),
      zeroPoints: Float32Array.of(128),
    },
    (row, column) => ([0, 255, 128, 127, 1, 2][row * 3 + column]! - 128) * 0.5,
  ],
];

test.each(cases)('%s', (_, weight, expected) => {
  const rowOf = weightRows(weight, read);
  for (const row of [0, 1])
    expect([...rowOf(row)]).toEqual(Array.from({ length: weight.columns }, (_, column) => expected(row, column)));
});

test('a tensor of another length is refused by name', () => {
  const cut = { ...float, tensor: tensor([2, 3], 'float16', halves.subarray(1)), isTransposed: false };
  expect(() => weightRows(cut, read)).toThrow('w has 10 bytes, not 12.');
});

/** Moves a tensor through the small buffer of a machine from which its kernels pack. */
import type { KernelExports, Machine } from './machine.ts';

/** As in assembly/pack-data.ts. */
const slabBytes = 16_384;

/** Part of a matrix that lies in the machine's buffer: `rowBytes` from one row to the next, or between columns. */
export interface Slab {
  /** A multiple of 8. */
  readonly row: number;
  readonly rows: number;
  readonly column: number;
  readonly columns: number;
  readonly rowBytes: number;
}

interface PackExports {
  slabAddress(): number;
  entriesAddress(): number;
  packNibbles(...args: number[]): void;
  packBytes(...args: number[]): void;
  packFloats(...args: number[]): number;
  packScales(...args: number[]): void;
}

export class SlabCopier {
  readonly machine: Machine;
  readonly exports: PackExports;

  constructor(machine: Machine) {
    this.machine = machine;
    this.exports = machine.exports as KernelExports & PackExports;
  }

  /** Of a tensor [rows, columns]: whole rows, or, where 8 of them are too long, parts of 8 by blocks of 32 columns. */
  *rows(
    bytes: Uint8Array,
    { rows, columns, rowBytes, bytesOf32 }: { rows: number; columns: number; rowBytes: number; bytesOf32: number },
  ): Generator<Slab> {
    const whole = Math.floor(slabBytes / rowBytes / 8) * 8;
    for (let row = 0; whole > 0 && row < rows; row += whole) {
      const count = Math.min(whole, rows - row);
      this.#slab(count * rowBytes).set(bytes.subarray(row * rowBytes, (row + count) * rowBytes));
      yield { row, rows: count, column: 0, columns, rowBytes };
    }
    const partBytes = slabBytes / 8;
    const partColumns = (partBytes / bytesOf32) * 32;
    for (let row = 0; whole === 0 && row < rows; row += 8) {
      const count = Math.min(8, rows - row);
      for (let column = 0; column < columns; column += partColumns) {
        const from = (column / 32) * bytesOf32;
        const length = Math.min(partBytes, rowBytes - from);
        const slab = this.#slab(slabBytes);
        for (let i = 0; i < count; i++) {
          const start = (row + i) * rowBytes + from;
          slab.set(bytes.subarray(start, start + length), i * partBytes);
        }
        yield { row, rows: count, column, columns: Math.min(partColumns, columns - column), rowBytes: partBytes };
      }
    }
  }

  /** Of a tensor [columns, rows] of numbers of `size` bytes: whole columns, or parts of one. */
  *columns(
    bytes: Uint8Array,
    { rows, columns, size }: { rows: number; columns: number; size: number },
  ): Generator<Slab> {
    const columnBytes = rows * size;
    const whole = Math.floor(slabBytes / columnBytes);
    for (let column = 0; whole > 0 && column < columns; column += whole) {
      const count = Math.min(whole, columns - column);
      this.#slab(count * columnBytes).set(bytes.subarray(column * columnBytes, (column + count) * columnBytes));
      yield { row: 0, rows, column, columns: count, rowBytes: columnBytes };
    }
    const partRows = slabBytes / size;
    for (let column = 0; whole === 0 && column < columns; column++) {
      for (let row = 0; row < rows; row += partRows) {
        const count = Math.min(partRows, rows - row);
        const start = column * columnBytes + row * size;
        this.#slab(count * size).set(bytes.subarray(start, start + count * size));
        yield { row, rows: count, column, columns: 1, rowBytes: count * size };
      }
    }
  }

  #slab(sizeBytes: number): Uint8Array {
    return this.machine.bytes(this.exports.slabAddress(), sizeBytes);
  }
}

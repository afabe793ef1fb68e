/** Reads arrays of float32 that NumPy wrote. */
import { readFileSync } from 'node:fs';

export interface NumpyArray {
  readonly shape: readonly number[];
  readonly data: Float32Array;
}

/** https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html, version 1, float32, C order */
export function readNumpy(file: string): NumpyArray {
  const bytes = readFileSync(file);
  const start = 10 + bytes.readUInt16LE(8);
  const header = bytes.toString('latin1', 10, start);
  if (!header.includes("'<f4'") || header.includes("'fortran_order': True")) throw new Error(`Cannot read ${header}`);
  const shape = (/\(([\d, ]+)\)/.exec(header)?.[1] ?? '')
    .split(',')
    .filter((part) => part.trim())
    .map(Number);
  return { shape, data: new Float32Array(Uint8Array.from(bytes.subarray(start)).buffer) };
}

/** Reads the constants of a plan from the model's files, and gives the bytes of a file back once all before was read. */
import { AppError } from '../../../../src/shared/app-error.ts';
import type { ExternalData } from '../../graph/constant-floats.ts';
import type { LinearWeight, TensorRef } from './plan.ts';

export class TensorReader {
  readonly #files: ReadonlyMap<string, ExternalData['file']>;
  /** Per file, how often each place is still to be read, in the order of the file. */
  readonly #waiting = new Map<string, Map<number, number>>();

  constructor(files: readonly ExternalData[], weights: readonly LinearWeight[]) {
    this.#files = new Map(files.map(({ path, file }) => [path, file]));
    const refs = weights.flatMap(tensorsOf).sort((a, b) => offsetOf(a) - offsetOf(b));
    for (const { source } of refs) {
      if ('bytes' in source) continue;
      const places = this.#waiting.get(source.file) ?? new Map<number, number>();
      places.set(source.offset, (places.get(source.offset) ?? 0) + 1);
      this.#waiting.set(source.file, places);
    }
  }

  /** A view that is valid until `release`. @throws AppError `model-damaged` naming file and tensor. */
  readonly read = ({ name, source }: TensorRef): Uint8Array => {
    if ('bytes' in source) return source.bytes;
    const file = this.#files.get(source.file);
    if (!file) throw damaged(`${source.file}, which holds the tensor ${name}, is missing`);
    if (source.offset + source.length > file.sizeBytes)
      throw damaged(`${source.file} ends before the tensor ${name} does`);
    return file.read(source.offset, source.length);
  };

  /** The tensors of a weight are not needed again, as often as the weight was given to the constructor. */
  release(weight: LinearWeight): void {
    for (const { source } of tensorsOf(weight)) {
      if ('bytes' in source) continue;
      const places = this.#waiting.get(source.file)!;
      const left = places.get(source.offset)! - 1;
      if (left > 0) places.set(source.offset, left);
      else places.delete(source.offset);
      const [next = Number.POSITIVE_INFINITY] = places.keys();
      this.#files.get(source.file)?.release(next);
    }
  }
}

/** Where a weight begins in its file: weights are packed in this order. */
export function firstOffset(weight: LinearWeight): number {
  return Math.min(...tensorsOf(weight).map(offsetOf));
}

/** The same for weights that are made of the same bytes in the same way. */
export function identityOf(weight: LinearWeight): string {
  const place = ({ name, type, source }: TensorRef) =>
    'bytes' in source ? `${name} ${type}` : `${source.file}@${source.offset}+${source.length} ${type}`;
  const { kind, rows, columns } = weight;
  const shape = [kind, rows, columns, ...tensorsOf(weight).map(place)];
  if (weight.kind === 'blocks')
    shape.push(weight.bits, weight.blockSize, typeof weight.zeroPoints === 'number' ? weight.zeroPoints : '');
  else shape.push(String(weight.isTransposed));
  if (weight.kind === 'channels') shape.push(...[weight.scales, weight.zeroPoints].map(checksumOf));
  return shape.join('|');
}

/** Scales of channels are numbers of the plan, not a place in a file. */
function checksumOf({ buffer, byteOffset, length }: Float32Array): number {
  return new Int32Array(buffer, byteOffset, length).reduce((sum, bits) => (Math.imul(sum, 31) + bits) | 0, length);
}

function tensorsOf(weight: LinearWeight): TensorRef[] {
  if (weight.kind !== 'blocks') return [weight.tensor];
  const { quantised, scales, zeroPoints } = weight;
  return [quantised, scales, ...(typeof zeroPoints === 'number' ? [] : [zeroPoints])];
}

function offsetOf({ source }: TensorRef): number {
  return 'bytes' in source ? 0 : source.offset;
}

function damaged(what: string): AppError {
  return new AppError('model-damaged', `The model file ${what}. Copy the model again, and reload it.`);
}

/** Copies the weights of a model into a machine, in the order that its kernels read: docs/simd-runtime.md. */
import type { PackedMatrix } from './encode-plan.ts';
import type { Machine } from './machine.ts';
import {
  blockScales,
  channelScales,
  damaged,
  type PackedScales,
  type ReadTensor,
  readBytes,
  unsupported,
} from './pack-scales.ts';
import { SlabCopier } from './pack-slabs.ts';
import type { BlockWeight, ChannelWeight, FloatWeight, LinearWeight } from './plan.ts';

const kinds = { q4: 0, q8: 1, f32: 2, f16: 3 } as const;
const floatTypes = { float32: 0, float16: 1, bfloat16: 2 } as const;
/** Of an entry of scales for 8 rows, per format. */
const entryBytes = [64, 32, 32, 16, 32] as const;
const descriptorWords = 12;
/** As in assembly/pack-data.ts: room for two numbers each. */
const mostEntries = 2048;

/**
 * Returns the address of the matrix's descriptor. What `read` returns is used until this returns.
 * @throws AppError `model-damaged` or `model-unsupported` naming the tensor, `out-of-memory`.
 */
export function packMatrix(machine: Machine, weight: LinearWeight, read: ReadTensor): PackedMatrix {
  const copier = new SlabCopier(machine);
  if (weight.kind === 'blocks') return packBlocks(copier, weight, read);
  if (weight.kind === 'channels') return packChannels(copier, weight, read);
  return packFloats(copier, weight, read);
}

interface Layout {
  readonly kind: number;
  readonly scaleBlock: number;
  readonly scaleFormat: number;
  readonly recordBytes: number;
  readonly zeroPoint: number;
}

interface Place {
  readonly descriptor: number;
  /** Of the first record. */
  readonly data: number;
  readonly groupBytes: number;
  /** Of all records. */
  readonly sizeBytes: number;
}

function packBlocks(copier: SlabCopier, weight: BlockWeight, read: ReadTensor): PackedMatrix {
  const { bits, blockSize, rows, columns, quantised } = weight;
  const scales = blockScales(weight, read);
  const rowBytes = (scales.perRow * blockSize * bits) / 8;
  const bytes = readBytes(quantised, rows * rowBytes, read);
  const layout = quantisedLayout(bits === 4 ? kinds.q4 : kinds.q8, blockSize, scales);
  const place = reserve(copier.machine, weight, layout);
  for (const slab of copier.rows(bytes, { rows, columns, rowBytes, bytesOf32: bits * 4 })) {
    const to = place.data + (slab.row / 8) * place.groupBytes + (slab.column / 32) * layout.recordBytes;
    const records = Math.ceil(slab.columns / 32);
    const { packNibbles, packBytes } = copier.exports;
    if (bits === 4) packNibbles(slab.rowBytes, slab.rows, records, to, layout.recordBytes, place.groupBytes);
    else packBytes(slab.rowBytes, 1, slab.rows, slab.columns, 0, 0, to, layout.recordBytes, place.groupBytes);
  }
  packScales(copier, weight, layout, { ...place, scales });
  return { descriptor: place.descriptor, activationBlock: 32, sizeBytes: place.sizeBytes };
}

function packChannels(copier: SlabCopier, weight: ChannelWeight, read: ReadTensor): PackedMatrix {
  const { tensor, rows, columns, isTransposed } = weight;
  if (tensor.type !== 'int8' && tensor.type !== 'uint8') throw unsupported(tensor, `is ${tensor.type}, not int8`);
  const bytes = readBytes(tensor, rows * columns, read);
  const scales = channelScales(weight);
  const layout = quantisedLayout(kinds.q8, columns, scales);
  const place = reserve(copier.machine, weight, layout);
  const { descriptor, data, groupBytes } = place;
  const flip = tensor.type === 'int8' ? 128 : 0;
  const { recordBytes } = layout;
  const slabs = isTransposed
    ? copier.columns(bytes, { rows, columns, size: 1 })
    : copier.rows(bytes, { rows, columns, rowBytes: columns, bytesOf32: 32 });
  for (const slab of slabs) {
    const to = data + (slab.row / 8) * groupBytes + Math.floor(slab.column / 32) * recordBytes;
    const [rowStride, columnStride] = isTransposed ? [1, slab.rowBytes] : [slab.rowBytes, 1];
    const first = slab.column % 32;
    copier.exports.packBytes(
      rowStride,
      columnStride,
      slab.rows,
      slab.columns,
      first,
      flip,
      to,
      recordBytes,
      groupBytes,
    );
  }
  packScales(copier, { rows, columns, blockSize: columns }, layout, { ...place, scales });
  return { descriptor, activationBlock: 32, sizeBytes: place.sizeBytes };
}

function packFloats(copier: SlabCopier, weight: FloatWeight, read: ReadTensor): PackedMatrix {
  const { tensor, rows, columns, isTransposed } = weight;
  const { type: name } = tensor;
  if (name !== 'float32' && name !== 'float16' && name !== 'bfloat16')
    throw unsupported(tensor, `is ${name}, not floats`);
  const type = floatTypes[name];
  const size = name === 'float32' ? 4 : 2;
  const bytes = readBytes(tensor, rows * columns * size, read);
  const isHalf = name === 'float16';
  const recordBytes = isHalf ? 16 : 32;
  const kind = isHalf ? kinds.f16 : kinds.f32;
  const layout = { kind, scaleBlock: 32, scaleFormat: 0, recordBytes, zeroPoint: 0 };
  const { descriptor, data, groupBytes, sizeBytes } = reserve(copier.machine, weight, layout);
  const slabs = isTransposed
    ? copier.columns(bytes, { rows, columns, size })
    : copier.rows(bytes, { rows, columns, rowBytes: columns * size, bytesOf32: 32 * size });
  for (const slab of slabs) {
    const to = data + (slab.row / 8) * groupBytes + slab.column * recordBytes;
    const [rowStride, columnStride] = isTransposed ? [size, slab.rowBytes] : [slab.rowBytes, size];
    if (!copier.exports.packFloats(type, rowStride, columnStride, slab.rows, slab.columns, to, groupBytes))
      throw damaged(tensor, 'has numbers that are not finite');
  }
  return { descriptor, activationBlock: undefined, sizeBytes };
}

function quantisedLayout(kind: number, blockSize: number, { format, zeroPoint }: PackedScales): Layout {
  const scaleBlock = blockSize === 16 ? 16 : 32;
  const recordBytes = (kind === kinds.q4 ? 128 : 256) + entryBytes[format] * (32 / scaleBlock);
  return { kind, scaleBlock, scaleFormat: format, recordBytes, zeroPoint };
}

function reserve(machine: Machine, { rows, columns }: LinearWeight, layout: Layout): Place {
  const { kind, scaleBlock, scaleFormat, recordBytes, zeroPoint } = layout;
  const [rows8, columns32] = [Math.ceil(rows / 8) * 8, Math.ceil(columns / 32) * 32];
  const isQuantised = kind === kinds.q4 || kind === kinds.q8;
  const groupBytes = (isQuantised ? columns32 / 32 : columns) * recordBytes;
  const sizeBytes = (rows8 / 8) * groupBytes;
  const data = machine.allocate(sizeBytes);
  const descriptor = machine.allocate(descriptorWords * 4);
  const words = [kind, rows8, columns32, scaleBlock, scaleFormat, data, recordBytes, 0, rows, columns];
  machine.words(descriptor, words.length).set(words);
  machine.floats(descriptor, descriptorWords)[7] = zeroPoint;
  return { descriptor, data, groupBytes, sizeBytes };
}

/** Entries of all records, `mostEntries` at a time. */
function packScales(
  { machine, exports }: SlabCopier,
  { rows, columns, blockSize }: { rows: number; columns: number; blockSize: number },
  { kind, scaleBlock, scaleFormat, recordBytes }: Layout,
  { data, groupBytes, scales }: Place & { scales: PackedScales },
): void {
  const perRecord = 32 / scaleBlock;
  const records = Math.ceil(columns / 32);
  const partRecords = Math.min(records, mostEntries / 8 / perRecord);
  const partRows = Math.floor(mostEntries / (partRecords * perRecord) / 8) * 8;
  for (let row = 0; row < rows; row += partRows) {
    const count = Math.min(partRows, rows - row);
    for (let record = 0; record < records; record += partRecords) {
      const perRow = Math.min(partRecords, records - record) * perRecord;
      const entries = machine.floats(exports.entriesAddress(), 2 * count * perRow);
      for (let i = 0; i < count * perRow; i++) {
        const entry = record * perRecord + (i % perRow);
        const block = Math.floor((entry * scaleBlock) / blockSize);
        const from = (row + Math.floor(i / perRow)) * scales.perRow + block;
        const isThere = block < scales.perRow; // an odd number of blocks of 16 leaves half a record
        entries[i] = isThere ? scales.scales[from]! : 0;
        entries[count * perRow + i] = isThere && scales.offsets ? scales.offsets[from]! : 0;
      }
      const to = data + (row / 8) * groupBytes + record * recordBytes + (kind === kinds.q4 ? 128 : 256);
      exports.packScales(count, perRow, perRecord, scaleFormat, to, recordBytes, groupBytes);
    }
  }
}

/** Memory for what a run changes in attention, indexed by layer and row; none until something is changed. */
import type { EdgeCut, HeadPatch, Intervention } from '../../decoder.ts';
import type { Machine } from './machine.ts';

export interface ChangedSegment extends Intervention {
  readonly tokens: { readonly length: number };
  readonly cache: { readonly length: number };
}

/** A row's entries, one behind the other, as docs/simd-runtime.md lays them out. */
type Rows = number[][];

const floatBits = new Float32Array(1);
const wordBits = new Int32Array(floatBits.buffer);

export class InterventionArea {
  readonly #machine: Machine;
  readonly #layers: number;
  readonly #heads: number;
  readonly #headDim: number;
  #address = 0;
  #words = 0;

  constructor(machine: Machine, { layers, heads, headDim }: { layers: number; heads: number; headDim: number }) {
    this.#machine = machine;
    this.#layers = layers;
    this.#heads = heads;
    this.#headDim = headDim;
  }

  /** Addresses for the state's words 10 and 11, each 0 where there is nothing. Patches and cuts have been checked. */
  write(segments: readonly ChangedSegment[], shared: Intervention): [patches: number, cuts: number] {
    const rows = segments.reduce((sum, { tokens }) => sum + tokens.length, 0);
    const floats: Float32Array[] = [];
    const patches = new Map<number, Rows>();
    const cuts = new Map<number, Rows>();
    let first = 0;
    for (const segment of segments) {
      const { gates, cache, tokens } = segment;
      const place = { first, past: cache.length, count: tokens.length, rows };
      if (gates) this.#addGates(patches, gates, place);
      for (const patch of [...(shared.patches ?? []), ...(segment.patches ?? [])])
        this.#addPatch(patches, patch, place, floats);
      for (const cut of [...(shared.cuts ?? []), ...(segment.cuts ?? [])]) addCut(cuts, cut, place);
      first += tokens.length;
    }
    return this.#store([patches, cuts], floats, rows);
  }

  #addGates(to: Map<number, Rows>, gates: Float32Array, place: Place): void {
    for (const [i, gate] of gates.entries()) {
      if (gate === 1) continue;
      const rows = rowsOf(to, Math.floor(i / this.#heads), place.rows);
      for (let row = 0; row < place.count; row++) rows[place.first + row]!.push(i % this.#heads, bitsOf(gate), 0);
    }
  }

  /** An entry names its row by number from 1 until it has an address. */
  #addPatch(
    to: Map<number, Rows>,
    { layer, head, how, at, rows }: HeadPatch,
    place: Place,
    floats: Float32Array[],
  ): void {
    const size = this.#headDim;
    for (let i = 0; i < rows.length / size; i++) {
      const row = at + i - place.past;
      if (row < 0 || row >= place.count) continue;
      floats.push(rows.subarray(i * size, (i + 1) * size));
      rowsOf(to, layer, place.rows)[place.first + row]!.push(head, bitsOf(how === 'replace' ? 0 : 1), floats.length);
    }
  }

  #store(
    [patches, cuts]: [Map<number, Rows>, Map<number, Rows>],
    floats: Float32Array[],
    rows: number,
  ): [number, number] {
    if (patches.size + cuts.size === 0) return [0, 0];
    const size = this.#headDim;
    const index = this.#layers + (patches.size + cuts.size) * (rows + 1);
    const entries = [...patches.values(), ...cuts.values()].flat().reduce((sum, { length }) => sum + length, 0);
    const floatsAt = this.#reserve(index + this.#layers + entries, floats.length * size);
    for (const [i, row] of floats.entries()) this.#machine.floats(floatsAt + i * size * 4, size).set(row);
    const rowAddress = (number: number) => (number === 0 ? 0 : floatsAt + (number - 1) * size * 4);
    for (const list of [...patches.values()].flat())
      for (let i = 2; i < list.length; i += 3) list[i] = rowAddress(list[i]!);
    const writer = new TableWriter(this.#machine.words(this.#address, this.#words), this.#address);
    return [writer.table(patches, this.#layers), writer.table(cuts, this.#layers)];
  }

  /** Makes room; returns where the floats begin, behind the words. */
  #reserve(words: number, floats: number): number {
    if (words + floats > this.#words) {
      this.#words = 2 * (words + floats); // the old place is lost: it is at most as large as the new one
      this.#address = this.#machine.allocate(this.#words * 4);
    }
    return this.#address + words * 4;
  }
}

/** Rows `first` to `first + count` of a run of `rows` are those behind `past` tokens of a cache. */
interface Place {
  readonly first: number;
  readonly past: number;
  readonly count: number;
  readonly rows: number;
}

function addCut(
  to: Map<number, Rows>,
  { query, key, layers: [from, until], heads = [-1] }: EdgeCut,
  place: Place,
): void {
  const row = query - place.past;
  if (row < 0 || row >= place.count) return;
  for (let layer = from; layer <= until; layer++)
    for (const head of heads) rowsOf(to, layer, place.rows)[place.first + row]!.push(key, head);
}

function rowsOf(lists: Map<number, Rows>, layer: number, rows: number): Rows {
  let list = lists.get(layer);
  if (!list) {
    list = Array.from({ length: rows }, () => []);
    lists.set(layer, list);
  }
  return list;
}

function bitsOf(value: number): number {
  floatBits[0] = value;
  return wordBits[0]!;
}

class TableWriter {
  readonly #words: Int32Array;
  readonly #base: number;
  #next = 0;

  constructor(words: Int32Array, base: number) {
    this.#words = words;
    this.#base = base;
  }

  /** [layer] addresses of an index, [row + 1] addresses of entries; 0 for no layer at all. */
  table(lists: Map<number, Rows>, layers: number): number {
    if (lists.size === 0) return 0;
    const table = this.#take(layers);
    this.#words.fill(0, table, table + layers);
    for (const [layer, rows] of lists) {
      const index = this.#take(rows.length + 1);
      this.#words[table + layer] = this.#addressOf(index);
      for (const [row, entries] of rows.entries()) {
        const at = this.#take(entries.length);
        this.#words.set(entries, at);
        this.#words[index + row] = this.#addressOf(at);
      }
      this.#words[index + rows.length] = this.#addressOf(this.#next);
    }
    return this.#addressOf(table);
  }

  #take(count: number): number {
    const at = this.#next;
    this.#next += count;
    return at;
  }

  #addressOf(word: number): number {
    return this.#base + word * 4;
  }
}

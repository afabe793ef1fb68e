/**
 * Causal attention over a paged cache, page by page with an online softmax. A query goes through the same sums in the
 * same order whatever other queries are in the run and however its past was cut into runs.
 */
import { scores } from './attention-scores';
import { addValues } from './attention-values';
import { capScores, maskScores, weigh } from './attention-weights';
import { AttentionWords, paddedDim } from './attention-words';
import { appendRows, keysOf, pageTokens, valuesOf } from './cache-page';
import { cutKeys, indexOf, patchOutput } from './interventions';
import { canInspect, MachineState, Segment } from './machine-state';
import { storeLanes } from './vector';
import { endOf, firstOf, isFirst, meet, ownOffset, partOf, threads } from './threads';

/** Queries that go through a page together, each in a slot of the scratch memory. */
const mostQueries: i32 = 64;

/** 160 * paddedDim + 2,304 floats in all. */
@unmanaged
class Scratch {
  /** [slot][32], of one page. */
  weights: usize;
  /** [slot]: what a page multiplies earlier sums by; the greatest score; the sum of weights; the position. */
  factors: usize;
  greatest: usize;
  weightSums: usize;
  positions: usize;
  /** [slot / 4][headDim][4], times the scale. */
  queries: usize;
  /** [slot][paddedDim] */
  sums: usize;
  /** Keys or values of one head in a page, [32 * paddedDim] float32. */
  expanded: usize;
}

const scratch = changetype<Scratch>(memory.data(32, 16) + ownOffset);

/** Queries `first` to `first + count` of [row][head of a group], of some kv heads; each of these has `slots` slots. */
@unmanaged
class Block {
  firstHead: i32;
  heads: i32;
  first: i32;
  count: i32;
  slots: i32;
  /** Of the layer: assembly/interventions.ts. */
  cuts: usize;
  /** From a position to its row. */
  shift: i32;
}

const block = changetype<Block>(memory.data(28, 16) + ownOffset);

/** `words`: docs/simd-runtime.md, opcode 5. */
export function attention(words: usize, rows: i32, state: usize): void {
  const step = changetype<AttentionWords>(words);
  const run = changetype<MachineState>(state);
  layOut(partOf(run.attention, scratchBytes(step.headDim)), step.headDim);
  const taps = canInspect && run.taps ? run.taps + (<usize>step.layer << 4) : 0;
  if (taps) copyRows(step.query, step.queryStride, rows, step.heads * step.headDim, load<usize>(taps));
  if (taps && step.residual)
    copyRows(step.residual, step.residualStride, rows, step.residualWidth, load<usize>(taps, 8));
  for (let i = 0; i < run.segmentCount; i++) {
    const segment = changetype<Segment>(run.segments + <usize>i * offsetof<Segment>());
    appendRows(step, segment, run.numberBytes);
    meet();
    attendSegment(step, run, segment);
  }
  if (taps) meet();
  if (taps) copyRows(step.to, step.toStride, rows, step.heads * step.headDim, load<usize>(taps, 4));
}

/** docs/simd-runtime.md, state word 12. */
@inline
function scratchBytes(headDim: i32): usize {
  return <usize>(160 * paddedDim(headDim) + 2304) << 2;
}

function layOut(at: usize, headDim: i32): void {
  const slots = <usize>mostQueries << 2;
  const rows = slots * paddedDim(headDim);
  scratch.weights = at;
  scratch.factors = at + slots * pageTokens;
  scratch.greatest = scratch.factors + slots;
  scratch.weightSums = scratch.greatest + slots;
  scratch.positions = scratch.weightSums + slots;
  scratch.queries = scratch.positions + slots;
  scratch.sums = scratch.queries + rows;
  scratch.expanded = scratch.sums + rows;
}

function copyRows(from: usize, stride: i32, rows: i32, width: i32, to: usize): void {
  if (!to) return;
  if (!isFirst()) return;
  for (let row = 0; row < rows; row++) {
    memory.copy(to, from, <usize>width << 2);
    from += <usize>stride << 2;
    to += <usize>width << 2;
  }
}

/** As many kv heads together as there are slots for: few queries then read a page from its beginning to its end. */
function attendSegment(step: AttentionWords, run: MachineState, segment: Segment): void {
  const queries = segment.rows * (step.heads / step.kvHeads);
  block.cuts = canInspect ? indexOf(run.cuts, step.layer) : 0;
  block.shift = segment.firstRow - segment.past;
  block.slots = min(mostQueries, (queries + 3) & ~3);
  const together = mostQueries / block.slots;
  // Threads share the queries of a head where there are enough of them, in fours; else the heads.
  const fours = (queries + 3) >> 2;
  const isByQuery = !ASC_FEATURE_THREADS || fours >= 2 * threads();
  const endHead = isByQuery ? step.kvHeads : endOf(step.kvHeads);
  const end = ASC_FEATURE_THREADS && isByQuery ? min(queries, endOf(fours) << 2) : queries;
  for (let head = isByQuery ? 0 : firstOf(step.kvHeads); head < endHead; head += together) {
    block.firstHead = head;
    block.heads = min(together, endHead - head);
    for (let first = isByQuery ? firstOf(fours) << 2 : 0; first < end; first += mostQueries) {
      block.first = first;
      block.count = min(mostQueries, end - first);
      attendBlock(step, run, segment);
    }
  }
}

function attendBlock(step: AttentionWords, run: MachineState, segment: Segment): void {
  begin(step, segment);
  const earliest = load<i32>(scratch.positions);
  const latest = load<i32>(scratch.positions + (<usize>(block.count - 1) << 2));
  for (let page = firstSeen(step, earliest) >> 5; page <= latest >> 5; page++) {
    const at = load<usize>(segment.pages + (<usize>page << 2));
    const key = page * pageTokens;
    for (let head = 0; head < block.heads; head++) {
      const keys = keysOf(step, at, block.firstHead + head, run.numberBytes, scratch.expanded);
      for (let query = 0; query < block.count; query += 4) weighKeys(step, key, head, query, keys);
    }
    for (let head = 0; head < block.heads; head++) {
      const values = valuesOf(step, at, block.firstHead + head, run.numberBytes, scratch.expanded);
      for (let query = 0; query < block.count; query += 4) addWeighted(step, key, head, query, values);
    }
  }
  finish(step, run, segment);
}

/** The first key that a query at this position sees. */
@inline
function firstSeen(step: AttentionWords, position: i32): i32 {
  return step.window > 0 ? max(0, position - step.window + 1) : 0;
}

/** Whether one of `count` queries from a slot on sees one of the 32 keys from number `key` on. */
@inline
function isSeen(step: AttentionWords, key: i32, slot: usize, count: i32): bool {
  const positions = scratch.positions + (slot << 2);
  const latest = load<i32>(positions + (<usize>(count - 1) << 2));
  return key <= latest && key + pageTokens > firstSeen(step, load<i32>(positions));
}

/** How many of the 32 keys from number `key` on are not later than the last of `count` queries from a slot on. */
@inline
function tokensSeen(key: i32, slot: usize, count: i32): i32 {
  return min(pageTokens, load<i32>(scratch.positions + ((slot + <usize>(count - 1)) << 2)) - key + 1);
}

function begin(step: AttentionWords, segment: Segment): void {
  const group = step.heads / step.kvHeads;
  const all = <usize>(block.heads * block.slots) << 2;
  memory.fill(scratch.sums, 0, all * paddedDim(step.headDim));
  memory.fill(scratch.queries, 0, all * step.headDim); // slots without a query
  memory.fill(scratch.factors, 0, all);
  for (let i = 0; i < block.count; i++) {
    const row = (block.first + i) / group;
    const inGroup = (block.first + i) % group;
    for (let head = 0; head < block.heads; head++)
      beginQuery(step, segment, row, (block.firstHead + head) * group + inGroup, head * block.slots + i);
  }
}

function beginQuery(step: AttentionWords, segment: Segment, row: i32, head: i32, slot: i32): void {
  const at = <usize>slot << 2;
  store<i32>(scratch.positions + at, segment.past + row);
  store<f32>(scratch.greatest + at, step.sinks ? load<f32>(step.sinks + (<usize>head << 2)) : -Infinity);
  store<f32>(scratch.weightSums + at, step.sinks ? 1 : 0);
  const from = step.query + ((<usize>(segment.firstRow + row) * step.queryStride + head * step.headDim) << 2);
  const to = scratch.queries + ((<usize>(slot & ~3) * step.headDim + (slot & 3)) << 2);
  for (let dim = 0; dim < step.headDim; dim++)
    store<f32>(to + (<usize>dim << 4), load<f32>(from + (<usize>dim << 2)) * step.scale);
}

/** Weights of up to 4 queries of the block's kv head number `head`, for the page whose first key is number `key`. */
function weighKeys(step: AttentionWords, key: i32, head: i32, query: i32, keys: usize): void {
  const slot = <usize>(head * block.slots + query);
  const count = min(4, block.count - query);
  if (!isSeen(step, key, slot, count)) return;
  const first = scratch.weights + (slot << 7);
  const tokens = tokensSeen(key, slot, count);
  scores(count, tokens, keys, scratch.queries + ((slot * step.headDim) << 2), step.headDim, first);
  for (let i: usize = 0; i < <usize>count; i++) {
    const weights = first + (i << 7);
    const at = (slot + i) << 2;
    const position = load<i32>(scratch.positions + at);
    const seen = firstSeen(step, position);
    if (step.softcap) capScores(weights, step.softcap);
    if (key < seen || key + pageTokens - 1 > position) maskScores(weights, key, seen, position);
  }
  // In a loop of its own: a call in the loop above costs registers in every run, also where nothing is cut.
  if (canInspect && block.cuts) cutScores(step, key, head, query, first);
  for (let i: usize = 0; i < <usize>count; i++) {
    const at = (slot + i) << 2;
    store<f32>(scratch.factors + at, weigh(first + (i << 7), scratch.greatest + at, scratch.weightSums + at));
  }
}

function cutScores(step: AttentionWords, key: i32, head: i32, query: i32, first: usize): void {
  const count = min(4, block.count - query);
  for (let i = 0; i < count; i++) {
    const position = load<i32>(scratch.positions + (<usize>(head * block.slots + query + i) << 2));
    cutKeys(block.cuts, position + block.shift, headOf(step, head, query + i), key, first + (<usize>i << 7));
  }
}

/** The number of the head that query `query` of the block's kv head number `head` belongs to. */
@inline
function headOf(step: AttentionWords, head: i32, query: i32): i32 {
  const group = step.heads / step.kvHeads;
  return (block.firstHead + head) * group + ((block.first + query) % group);
}

/** Adds the values of that page to the sums of these queries. */
function addWeighted(step: AttentionWords, key: i32, head: i32, query: i32, values: usize): void {
  const slot = <usize>(head * block.slots + query);
  const count = min(4, block.count - query);
  if (!isSeen(step, key, slot, count)) return;
  const padded = paddedDim(step.headDim);
  const sums = scratch.sums + ((slot * padded) << 2);
  const tokens = tokensSeen(key, slot, count);
  addValues(count, scratch.weights + (slot << 7), scratch.factors + (slot << 2), tokens, values, padded, sums);
}

function finish(step: AttentionWords, run: MachineState, segment: Segment): void {
  const group = step.heads / step.kvHeads;
  for (let i = 0; i < block.count; i++) {
    const row = segment.firstRow + (block.first + i) / group;
    const inGroup = (block.first + i) % group;
    for (let head = 0; head < block.heads; head++)
      finishQuery(step, run, row, (block.firstHead + head) * group + inGroup, head * block.slots + i);
  }
  const patches = canInspect ? indexOf(run.patches, step.layer) : 0;
  if (patches) patch(step, patches, segment);
}

function finishQuery(step: AttentionWords, run: MachineState, row: i32, head: i32, slot: i32): void {
  let factor: f32 = <f32>1 / load<f32>(scratch.weightSums + (<usize>slot << 2));
  if (canInspect && run.gates) factor *= load<f32>(run.gates + (<usize>(step.layer * step.heads + head) << 2));
  const sums = scratch.sums + ((<usize>slot * paddedDim(step.headDim)) << 2);
  const to = step.to + ((<usize>row * step.toStride + head * step.headDim) << 2);
  for (let dim = 0; dim < step.headDim; dim += 4) {
    const at = <usize>dim << 2;
    storeLanes(to + at, f32x4.mul(v128.load(sums + at), f32x4.splat(factor)), step.headDim - dim);
  }
}

/** As `finish`, of what it has written. */
function patch(step: AttentionWords, patches: usize, segment: Segment): void {
  const group = step.heads / step.kvHeads;
  for (let i = 0; i < block.count; i++) {
    const row = segment.firstRow + (block.first + i) / group;
    for (let inBlock = 0; inBlock < block.heads; inBlock++) {
      const head = headOf(step, inBlock, i);
      const to = step.to + ((<usize>row * step.toStride + head * step.headDim) << 2);
      patchOutput(patches, step, row, head, to);
    }
  }
}

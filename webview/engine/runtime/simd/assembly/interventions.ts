/** What a run changes in attention beside its gates: rows for heads' outputs, and edges that are cut. */
import { AttentionWords } from './attention-words';
import { pageTokens } from './cache-page';
import { storeLanes } from './vector';

/** docs/simd-runtime.md, state word 10. */
@unmanaged
class PatchEntry {
  head: i32;
  factor: f32;
  rows: usize;
}

/** docs/simd-runtime.md, state word 11. */
@unmanaged
class CutEntry {
  key: i32;
  /** Or -1: all. */
  head: i32;
}

/** The index of a layer, [row + 1] addresses of entries, or 0 where nothing is changed in it. */
@inline
export function indexOf(table: usize, layer: i32): usize {
  return table ? load<usize>(table + (<usize>layer << 2)) : 0;
}

/** output * factor + rows; a factor of 0 leaves nothing of what was there, NaN included. */
export function patchOutput(index: usize, step: AttentionWords, row: i32, head: i32, to: usize): void {
  const at = index + (<usize>row << 2);
  const end = load<usize>(at, 4);
  for (let entry = load<usize>(at); entry < end; entry += offsetof<PatchEntry>()) {
    const patch = changetype<PatchEntry>(entry);
    if (patch.head != head) continue;
    const factor = f32x4.splat(patch.factor);
    for (let dim = 0; dim < step.headDim; dim += 4) {
      const offset = <usize>dim << 2;
      let x = patch.factor == 0 ? f32x4.splat(0) : f32x4.mul(v128.load(to + offset), factor);
      if (patch.rows) x = f32x4.add(x, v128.load(patch.rows + offset));
      storeLanes(to + offset, x, step.headDim - dim);
    }
  }
}

/** Scores of the 32 keys from number `key` on: those that the query of this row and head may not see. */
export function cutKeys(index: usize, row: i32, head: i32, key: i32, scores: usize): void {
  const at = index + (<usize>row << 2);
  const end = load<usize>(at, 4);
  for (let entry = load<usize>(at); entry < end; entry += offsetof<CutEntry>()) {
    const cut = changetype<CutEntry>(entry);
    if (cut.head >= 0 && cut.head != head) continue;
    const slot = cut.key - key;
    if (slot >= 0 && slot < pageTokens) store<f32>(scores + (<usize>slot << 2), -Infinity);
  }
}

/** The state that JavaScript writes before a run, as docs/simd-runtime.md lays it out. */

/** False only in the build that a bench compares with: `npm run bench:taps`. */
@inline
export const canInspect: bool = !isDefined(WITHOUT_INSPECTION);

@unmanaged
export class MachineState {
  positions: usize;
  segmentCount: i32;
  segments: usize;
  selectedCount: i32;
  selected: usize;
  ids: usize;
  arithmetic: i32;
  gates: usize;
  taps: usize;
  quantised: usize;
  patches: usize;
  cuts: usize;
  attention: usize;
  numberBytes: i32;
}

/** One sequence of a run. */
@unmanaged
export class Segment {
  firstRow: i32;
  rows: i32;
  /** Tokens in the cache before the run. */
  past: i32;
  pages: usize;
}

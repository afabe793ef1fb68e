/** docs/simd-runtime.md, opcode 5. */
@unmanaged
export class AttentionWords {
  opcode: i32;
  words: i32;
  layer: i32;
  heads: i32;
  kvHeads: i32;
  headDim: i32;
  scale: f32;
  softcap: f32;
  window: i32;
  sinks: usize;
  query: usize;
  queryStride: i32;
  key: usize;
  keyStride: i32;
  value: usize;
  valueStride: i32;
  to: usize;
  toStride: i32;
  residual: usize;
  residualStride: i32;
  residualWidth: i32;
}

/** Values are stored with whole vectors of four. */
@inline
export function paddedDim(headDim: i32): i32 {
  return (headDim + 3) & ~3;
}

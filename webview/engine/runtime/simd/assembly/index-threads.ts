/** All that the machine of several threads exports. Steps by themselves compute one thread's part only. */
export { describeRow } from './logits';
export { entriesAddress, packBytes, packFloats, packNibbles, packScales, slabAddress } from './pack-data';
export { quantisedBytes } from './quantise';
export { run, serve } from './threads-run';

/** All that the machine exports to JavaScript. */
export { attention } from './attention';
export { binary, glu, unary } from './elementwise';
export { gatherRows } from './gather';
export { run } from './interpreter';
export { useFusedDot } from './linear-dot';
export { linearFloat } from './linear-float';
export { linearQuantised } from './linear-quantised';
export { describeRow } from './logits';
export { norm } from './norm';
export { entriesAddress, packBytes, packFloats, packNibbles, packScales, slabAddress } from './pack-data';
export { quantisedBytes, quantiseRows } from './quantise';
export { rotary } from './rotary';

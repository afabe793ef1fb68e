/** Names the attention operators that are not read, and says so: a model's picture must not lack a layer in silence. */
import type { Recogniser } from './graph-reading.ts';

export const refuseOthers: Recogniser = ({ operator }) =>
  /Attention$|LongformerAttention|^com\.microsoft\.(Q|Sparse|Paged|Packed|DecoderMasked)\w*Attention/.test(operator)
    ? { refused: 'how this operator computes attention is not known here' }
    : undefined;

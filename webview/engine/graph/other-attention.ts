/** Names the attention that is not read, and says so: a model's picture must not lack a layer in silence. */
import type { Recogniser } from './graph-reading.ts';

export const refuseOthers: Recogniser = ({ operator, outputs: [output] }) => {
  if (
    /Attention$|LongformerAttention|^com\.microsoft\.(Q|Sparse|Paged|Packed|DecoderMasked)\w*Attention/.test(operator)
  )
    return { refused: 'how this operator computes attention is not known here' };
  const isMultiplied = output?.readers.some(
    ({ node, position }) => node.operator === 'QLinearMatMul' && position === 0,
  );
  if (operator === 'com.microsoft.QLinearSoftmax' && isMultiplied)
    return {
      refused: 'which of its sizes are heads does not follow from operators on codes; export it with QDQ instead',
    };
  return undefined;
};

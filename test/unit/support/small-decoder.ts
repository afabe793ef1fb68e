/** A decoder of one layer with small random weights, as an ONNX file: what attention operators can be, in many forms. */
import { create, toBinary } from '@bufbuild/protobuf';
import {
  type AttributeProto,
  AttributeProto_AttributeType,
  AttributeProtoSchema,
  GraphProtoSchema,
  ModelProtoSchema,
  type NodeProto,
  NodeProtoSchema,
  OperatorSetIdProtoSchema,
  type TensorProto,
  TensorProto_DataType,
  TensorProtoSchema,
  TensorShapeProto_DimensionSchema,
  TensorShapeProtoSchema,
  TypeProto_TensorSchema,
  TypeProtoSchema,
  ValueInfoProtoSchema,
} from '../../../webview/engine/graph/onnx_pb.js';

export interface SmallDecoderForm {
  readonly isPacked?: boolean;
  /** Numbers of a head that rotate; 0: the operator does not rotate. */
  readonly rotarySize?: number;
  readonly isInterleaved?: boolean;
  readonly softcap?: number;
  readonly window?: number;
  readonly scale?: number;
  /** Rotary caches are computed by the graph instead of being constants. */
  readonly hasComputedCaches?: boolean;
  /** The head's product: a matrix product, one through dynamic quantisation, or something unknown. */
  readonly head?: 'matmul' | 'quantised' | 'unknown';
  /** Of com.microsoft; others than these two do not run. */
  readonly attention?: 'GroupQueryAttention' | 'MultiHeadAttention' | 'SparseAttention' | 'Conv';
  /** Name of one more input of the attention operator, at this position. */
  readonly extraInput?: { readonly position: number; readonly name: string };
}

export const small = { vocab: 50, hidden: 64, heads: 4, kvHeads: 2, headDim: 32, context: 64 };
export const smallConfig = { max_position_embeddings: small.context, num_attention_heads: small.heads };
/** The output of the attention operator, which is a graph output too. */
export const attended = 'attended';

export function smallDecoder(form: SmallDecoderForm = {}): Uint8Array<ArrayBuffer> {
  const { vocab, hidden, heads, kvHeads, headDim, context } = small;
  const { isPacked = false, rotarySize = headDim, attention = 'GroupQueryAttention', head = 'matmul' } = form;
  const random = createRandom(7);
  const initialisers: TensorProto[] = [];
  const floats = (name: string, dims: number[], value: (i: number) => number) => {
    const data = Float32Array.from({ length: dims.reduce((a, b) => a * b, 1) }, (_, i) => value(i));
    initialisers.push(tensor(name, dims, TensorProto_DataType.FLOAT, data));
    return name;
  };
  const weights = (name: string, rows: number, columns: number) => floats(name, [rows, columns], () => random() - 0.5);
  const ints = (name: string, values: bigint[]) => {
    initialisers.push(tensor(name, [values.length], TensorProto_DataType.INT64, BigInt64Array.from(values)));
    return name;
  };

  const nodes: NodeProto[] = [
    node('Gather', [weights('embedding', vocab, hidden), 'input_ids'], ['embedded']),
    node('ReduceSum', ['attention_mask', ints('one', [1n])], ['mask_sum'], [int('keepdims', 1)]),
    node('Sub', ['mask_sum', 'one'], ['mask_last']),
    node('Cast', ['mask_last'], ['seqlens'], [int('to', TensorProto_DataType.INT32)]),
    node('Shape', ['attention_mask'], ['mask_shape']),
    node('Gather', ['mask_shape', ints('second', [1n])], ['total64']),
    node('Cast', ['total64'], ['total'], [int('to', TensorProto_DataType.INT32)]),
  ];
  const project = (name: string, size: number) => {
    nodes.push(node('MatMul', ['embedded', weights(`${name}_weight`, hidden, size)], [name]));
    return name;
  };
  const qkv = isPacked
    ? [project('qkv', (heads + 2 * kvHeads) * headDim), '', '']
    : [project('q', heads * headDim), project('k', kvHeads * headDim), project('v', kvHeads * headDim)];
  let caches: string[] = [];
  if (rotarySize > 0) {
    const half = rotarySize / 2;
    const angle = (i: number) => Math.floor(i / half) / 50 ** ((i % half) / half);
    caches = [
      floats('cos', [context, half], (i) => Math.cos(angle(i))),
      floats('sin', [context, half], (i) => Math.sin(angle(i))),
    ];
    if (form.hasComputedCaches) {
      for (const name of caches) nodes.push(node('Neg', [name], [`${name}_negative`]));
      for (const name of caches) nodes.push(node('Neg', [`${name}_negative`], [`${name}_computed`]));
      caches = caches.map((name) => `${name}_computed`);
    }
  }
  const inputs = [...qkv, 'past_key_values.0.key', 'past_key_values.0.value', 'seqlens', 'total', ...caches];
  if (form.extraInput) {
    while (inputs.length <= form.extraInput.position) inputs.push('');
    inputs[form.extraInput.position] = form.extraInput.name;
  }
  const attributes = [int('num_heads', heads), int('kv_num_heads', kvHeads), int('do_rotary', rotarySize > 0 ? 1 : 0)];
  if (form.isInterleaved) attributes.push(int('rotary_interleaved', 1));
  if (form.window) attributes.push(int('local_window_size', form.window));
  if (form.softcap) attributes.push(float('softcap', form.softcap));
  if (form.scale) attributes.push(float('scale', form.scale));
  nodes.push(
    create(NodeProtoSchema, {
      ...node(attention, inputs, [attended, 'present.0.key', 'present.0.value'], attributes),
      name: '/layers.0/attention',
      domain: 'com.microsoft',
    }),
    node('MatMul', [attended, weights('o_weight', heads * headDim, hidden)], ['projected']),
    node('Add', ['embedded', 'projected'], ['state']),
    ...headNodes(head, weights, (name, dims) => floats(name, dims, () => 0.02), initialisers),
  );

  const past = ['batch', kvHeads, 'past', headDim];
  const present = ['batch', kvHeads, 'total', headDim];
  const { FLOAT, INT64 } = TensorProto_DataType;
  const graph = create(GraphProtoSchema, {
    name: 'small',
    node: nodes,
    initializer: initialisers,
    input: [
      value('input_ids', INT64, ['batch', 'tokens']),
      value('attention_mask', INT64, ['batch', 'total']),
      value('past_key_values.0.key', FLOAT, past),
      value('past_key_values.0.value', FLOAT, past),
    ],
    output: [
      value('logits', FLOAT, ['batch', 'tokens', vocab]),
      value('present.0.key', FLOAT, present),
      value('present.0.value', FLOAT, present),
      value(attended, FLOAT, ['batch', 'tokens', heads * headDim]),
    ],
  });
  const opsets = [
    create(OperatorSetIdProtoSchema, { domain: '', version: 18n }),
    create(OperatorSetIdProtoSchema, { domain: 'com.microsoft', version: 1n }),
  ];
  return toBinary(ModelProtoSchema, create(ModelProtoSchema, { irVersion: 9n, graph, opsetImport: opsets }));
}

function headNodes(
  head: 'matmul' | 'quantised' | 'unknown',
  weights: (name: string, rows: number, columns: number) => string,
  scale: (name: string, dims: number[]) => string,
  initialisers: TensorProto[],
): NodeProto[] {
  const { hidden, vocab } = small;
  if (head === 'matmul')
    return [
      node('MatMul', ['state', weights('head_weight', hidden, vocab)], ['raw']),
      node('Mul', ['raw', scale('head_scale', [1])], ['logits']),
    ];
  if (head === 'unknown')
    return [
      node('MatMul', ['state', weights('head_weight', hidden, vocab)], ['raw']),
      node('Softmax', ['raw'], ['logits']),
    ];
  const bytes = Int8Array.from({ length: hidden * vocab }, (_, i) => ((i * 37) % 251) - 125);
  initialisers.push(tensor('head_weight', [hidden, vocab], TensorProto_DataType.INT8, bytes));
  return [
    node('DynamicQuantizeLinear', ['state'], ['state_q', 'state_scale', 'state_zero']),
    node('MatMulInteger', ['state_q', 'head_weight', 'state_zero'], ['raw_int']),
    node('Cast', ['raw_int'], ['raw'], [int('to', TensorProto_DataType.FLOAT)]),
    node('Mul', ['state_scale', scale('head_scale', [1])], ['both_scales']),
    node('Mul', ['raw', 'both_scales'], ['logits']),
  ];
}

function node(opType: string, input: string[], output: string[], attribute: AttributeProto[] = []): NodeProto {
  return create(NodeProtoSchema, { opType, input, output, attribute, name: `/${opType}/${output[0]}` });
}
const int = (name: string, i: number) =>
  create(AttributeProtoSchema, { name, i: BigInt(i), type: AttributeProto_AttributeType.INT });
const float = (name: string, f: number) =>
  create(AttributeProtoSchema, { name, f, type: AttributeProto_AttributeType.FLOAT });

function tensor(name: string, dims: number[], dataType: TensorProto_DataType, data: ArrayBufferView): TensorProto {
  const rawData = new Uint8Array(data.buffer as ArrayBuffer, data.byteOffset, data.byteLength);
  return create(TensorProtoSchema, { name, dims: dims.map(BigInt), dataType, rawData });
}

function value(name: string, elemType: TensorProto_DataType, dims: (string | number)[]) {
  const dim = dims.map((size) =>
    create(TensorShapeProto_DimensionSchema, {
      value: typeof size === 'number' ? { case: 'dimValue', value: BigInt(size) } : { case: 'dimParam', value: size },
    }),
  );
  const tensorType = create(TypeProto_TensorSchema, { elemType, shape: create(TensorShapeProtoSchema, { dim }) });
  return create(ValueInfoProtoSchema, {
    name,
    type: create(TypeProtoSchema, { value: { case: 'tensorType', value: tensorType } }),
  });
}

/** mulberry32 */
function createRandom(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

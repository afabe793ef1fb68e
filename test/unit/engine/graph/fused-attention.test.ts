import { describe, expect, test } from 'vitest';
import type { AttentionCapture } from '../../../../webview/engine/inspect/read-attention.ts';
import { GraphBuilder } from '../../support/graph-builder.ts';
import { capture, type Feeds, floats, ints, openTapped } from '../../support/tapped-run.ts';

/** What the operator made of values and weights tells whether the weights that are read are those that it used. */
interface Form {
  readonly operator: string;
  readonly attributes?: Record<string, number | string | readonly number[]>;
  /** In the operator's order; undefined: absent. */
  readonly inputs: readonly (Input | undefined)[];
  readonly outputs?: number;
  readonly opset?: number;
  /** Of each batch entry, the queries that are no padding. */
  readonly queries?: readonly number[];
}

interface Input {
  readonly dims: readonly number[];
  /** Absent: random. */
  readonly data?: readonly number[];
  readonly type?: 'float' | 'int32' | 'int64' | 'bool' | 'uint8' | 'int8';
}

const [B, S, P, H, G, D] = [2, 5, 3, 4, 2, 8];
const T = P + S;
const like = (...dims: number[]): Input => ({ dims });
const int32 = (dims: readonly number[], ...data: number[]): Input => ({ dims, data, type: 'int32' });
const bool = (dims: readonly number[], data: readonly number[]): Input => ({ dims, data, type: 'bool' });
const ones = (dims: readonly number[], zeros: readonly number[]): readonly number[] =>
  Array.from({ length: dims.reduce((a, b) => a * b, 1) }, (_, i) => (zeros.includes(i) ? 0 : 1));
const codes = { int32: 6, int64: 7, bool: 9, uint8: 2, int8: 3 } as const;

async function errorOf(form: Form): Promise<number> {
  const builder = new GraphBuilder();
  const feeds: Feeds = {};
  const names = form.inputs.map((input, i) => {
    if (!input) return '';
    const { dims, type = 'float', data = builder.numbers(dims, 3) } = input;
    const name = builder.input(`in${i}`, type === 'float' ? 'float' : 'int', dims);
    feeds[name] = type === 'float' ? floats(dims, data) : ints(dims, [...data]);
    return type === 'float' || type === 'int64' ? name : builder.node('Cast', [name], { to: codes[type] });
  });
  const results = builder.nodeOf(form.operator, names, form.attributes ?? {}, form.outputs ?? 1);
  for (const result of results) builder.output(result);
  const { tapped, run, session } = await openTapped(builder.bytesOfModel(form.opset ?? 23));
  expect(tapped.refused).toEqual([]);
  const site = capture(tapped.sites[0]!, await run(feeds), feeds)!;
  await session.release();
  return apartFromOutput(site, form.queries);
}

function apartFromOutput(site: AttentionCapture, queries?: readonly number[]): number {
  let worst = 0;
  for (let b = 0; b < site.batch; b++)
    for (let head = 0; head < site.heads; head++)
      for (let query = 0; query < (queries?.[b] ?? site.queries); query++) {
        const weights = site.row(b, head, query);
        const output = site.outputRow(b, head, query)!;
        const sum = new Float64Array(output.length);
        for (const [key, weight] of weights.entries())
          if (weight !== 0) for (const [d, x] of site.valueRow(b, head, key)!.entries()) sum[d]! += weight * x;
        for (const [d, x] of output.entries())
          worst = Math.max(worst, Math.abs(x - sum[d]!) || 0, Number.isNaN(sum[d]!) ? 9 : 0);
      }
  return worst;
}

const ms = (name: string) => `com.microsoft.${name}`;
const gqa = { num_heads: H, kv_num_heads: G };
// Past and several new tokens at once: of one sequence only.
const [q, kv, past] = [like(1, S, H * 16), like(1, S, G * 16), like(1, G, P, 16)];
const [q2, kv2, past2, nothing2] = [like(B, S, H * 16), like(B, S, G * 16), like(B, G, P, 16), like(B, G, 0, 16)];
const whole = [int32([1], T - 1), int32([], T)];
const tables = [like(16, 8), like(16, 8)];
const rotary = { ...gqa, do_rotary: 1 };
const cachedInputs = [q, kv, kv, past, past, ...whole];
const biased = (bias: Input) => [...cachedInputs, undefined, undefined, undefined, bias];
const fresh = (...lengths: number[]) => [
  ...[q2, kv2, kv2, nothing2, nothing2],
  ...[int32([B], ...lengths), int32([], S), ...tables],
];
const positions: Input = { dims: [1, S], data: [9, 1, 2, 3, 4], type: 'int64' };

const groupQuery: [string, Omit<Form, 'operator'>][] = [
  ['with a past', { attributes: gqa, inputs: cachedInputs }],
  [
    'packed, rotated',
    {
      attributes: rotary,
      inputs: [like(1, S, (H + 2 * G) * 16), undefined, undefined, past, past, ...whole, ...tables],
    },
  ],
  ['rotated in pairs', { attributes: { ...rotary, rotary_interleaved: 1 }, inputs: [...cachedInputs, ...tables] }],
  [
    'rotated in part',
    {
      attributes: rotary,
      inputs: [
        ...[like(1, S, H * 32), like(1, S, G * 32), like(1, S, G * 32), like(1, G, P, 32), like(1, G, P, 32)],
        ...[...whole, like(16, 8), like(16, 8)],
      ],
    },
  ],
  ['padded on the right', { attributes: rotary, inputs: fresh(S - 1, 2), queries: [S, 3] }],
  [
    'a step of entries of different length',
    {
      attributes: rotary,
      inputs: [
        ...[like(B, 1, H * 16), like(B, 1, G * 16), like(B, 1, G * 16), past2, past2],
        ...[int32([B], P, P - 1), int32([], P + 1), ...tables],
      ],
    },
  ],
  ['with positions', { attributes: rotary, inputs: [...cachedInputs, ...tables, positions] }],
  ['with a bias of all heads', { attributes: gqa, inputs: biased(like(1, 1, S, T)) }],
  ['with a bias of its own for each head', { attributes: gqa, inputs: biased(like(1, H, S, T)) }],
  ['with sinks', { attributes: gqa, inputs: [...biased(like(1, 1, S, T)), like(H)] }],
  ['with a smooth softmax', { attributes: { ...gqa, smooth_softmax: 1 }, inputs: cachedInputs }],
  [
    'with a window, a cap and a scale',
    { attributes: { ...gqa, local_window_size: 3, softcap: 1.5, scale: 0.5 }, inputs: cachedInputs },
  ],
  ['capped, with a bias', { attributes: { ...gqa, softcap: 1.5 }, inputs: biased(like(1, 1, S, T)) }],
];

const mha = { num_heads: H };
const [mq, mk] = [like(B, S, H * D), like(B, T, H * D)];
const multiHead: [string, Omit<Form, 'operator'>][] = [
  ['with keys of another length', { attributes: mha, inputs: [mq, mk, mk] }],
  ['with larger values', { attributes: mha, inputs: [mq, mk, like(B, T, H * 12)] }],
  ['with biases', { attributes: mha, inputs: [mq, mk, like(B, T, H * 12), like(2 * H * D + H * 12)] }],
  ['with projected keys of an encoder', { attributes: mha, inputs: [mq, like(B, H, T, D), like(B, H, T, D)] }],
  ['with lengths', { attributes: mha, inputs: [mq, mk, mk, undefined, int32([B], T, 4)] }],
  [
    'with lengths and starts of packed sequences',
    { attributes: mha, inputs: [mq, mk, mk, undefined, int32([3 * B + 2], T, 4, 0, S, 2 * S, 0, T, T + 4)] },
  ],
  [
    'with a mask of keys',
    {
      attributes: { ...mha, mask_filter_value: -50.5 },
      inputs: [mq, mk, mk, undefined, int32([B, T], ...ones([B, T], [0, 9, 15]))],
    },
  ],
  [
    'with a mask of keys by query',
    { attributes: mha, inputs: [mq, mk, mk, undefined, int32([B, S, T], ...ones([B, S, T], [0, 9, 15, 40]))] },
  ],
  [
    'with a bias of the scores',
    { attributes: { ...mha, scale: 0.3 }, inputs: [mq, mk, mk, undefined, undefined, like(1, H, S, T)] },
  ],
  ['causal', { attributes: { ...mha, unidirectional: 1 }, inputs: [mq, mq, mq] }],
  [
    'causal, with a past and a mask',
    {
      attributes: { ...mha, unidirectional: 1 },
      outputs: 3,
      inputs: [
        mq,
        mq,
        mq,
        undefined,
        int32([B, T], ...ones([B, T], [0, 8, 9])),
        like(B, 1, S, T),
        like(B, H, P, D),
        like(B, H, P, D),
      ],
    },
  ],
  [
    'with a past and a bias of projections',
    {
      attributes: mha,
      outputs: 3,
      inputs: [mq, mq, mq, like(3 * H * D), undefined, undefined, like(B, H, P, D), like(B, H, P, D)],
    },
  ],
];

const E = 6;
const [data, weights] = [like(B, S, E), like(E, 3 * H * D)];
const microsoft: [string, Omit<Form, 'operator'>][] = [
  ['plain', { attributes: mha, inputs: [data, weights, like(3 * H * D)] }],
  [
    'with sizes of its own',
    {
      attributes: { ...mha, qkv_hidden_sizes: [H * D, H * D, H * 12] },
      inputs: [data, like(E, H * (2 * D + 12)), like(H * (2 * D + 12))],
    },
  ],
  ['with lengths', { attributes: mha, inputs: [data, weights, like(3 * H * D), int32([B], S, 3)] }],
  [
    'with lengths and starts',
    { attributes: mha, inputs: [data, weights, like(3 * H * D), int32([2 * B], S, 4, 0, 2)] },
  ],
  [
    'with a mask of keys',
    { attributes: mha, inputs: [data, weights, like(3 * H * D), int32([B, S], ...ones([B, S], [0, 1, 9]))] },
  ],
  [
    'with a mask of keys by query',
    { attributes: mha, inputs: [data, weights, like(3 * H * D), int32([B, S, S], ...ones([B, S, S], [0, 1, 9]))] },
  ],
  [
    'causal, with a bias and a scale',
    {
      attributes: { ...mha, unidirectional: 1, scale: 0.4 },
      inputs: [data, weights, like(3 * H * D), undefined, undefined, like(B, H, S, S)],
    },
  ],
  [
    'causal, with a past',
    {
      attributes: { ...mha, unidirectional: 1 },
      outputs: 2,
      inputs: [data, weights, like(3 * H * D), int32([B, T], ...ones([B, T], [0, 8])), like(2, B, H, P, D)],
    },
  ],
  [
    'with a past and no mask',
    { attributes: mha, outputs: 2, inputs: [data, weights, like(3 * H * D), undefined, like(2, B, H, P, D)] },
  ],
];

const code = (type: 'uint8' | 'int8', dims: number[]): Input => ({
  dims,
  type,
  data: Array.from(
    { length: dims.reduce((a, b) => a * b, 1) },
    (_, i) => ((i * 37) % 101) - (type === 'int8' ? 50 : 0),
  ),
});
const scalar = (value: number): Input => ({ dims: [], data: [value] });
const zero = (type: 'uint8' | 'int8', value: number): Input => ({ dims: [], data: [value], type });
const quantised = [code('uint8', [B, S, E]), code('int8', [E, 3 * H * D]), like(3 * H * D), scalar(0.03)];
const zeros = [zero('uint8', 40), zero('int8', 3)];
const integer: [string, Omit<Form, 'operator'>][] = [
  [
    'with zero points and lengths',
    { attributes: mha, inputs: [...quantised, scalar(0.01), int32([B], S, 3), ...zeros] },
  ],
  [
    'with a scale for each column, causal',
    { attributes: { ...mha, unidirectional: 1 }, inputs: [...quantised, like(3 * H * D), undefined, zeros[0]] },
  ],
  [
    'with a past',
    {
      attributes: mha,
      outputs: 2,
      inputs: [...quantised, scalar(0.01), int32([B, T], ...ones([B, T], [0, 8])), ...zeros, like(2, B, H, P, D)],
    },
  ],
];

const heads3 = { q_num_heads: H, kv_num_heads: G };
const [oq, ok] = [like(B, H, S, D), like(B, G, T, D)];
const mask = (dims: number[], zeros: number[]) => bool(dims, ones(dims, zeros));
const onnx: [string, Omit<Form, 'operator'>][] = [
  ['of four axes', { inputs: [oq, ok, ok] }],
  ['of three axes', { attributes: heads3, inputs: [like(B, S, H * D), like(B, T, G * D), like(B, T, G * 12)] }],
  [
    'of one key head',
    {
      attributes: { ...heads3, kv_num_heads: 1, scale: 0.3 },
      inputs: [like(B, S, H * D), like(B, T, D), like(B, T, D)],
    },
  ],
  ['causal, with more keys than queries', { attributes: { is_causal: 1 }, inputs: [oq, ok, ok] }],
  [
    'causal, with a past',
    {
      attributes: { is_causal: 1 },
      outputs: 3,
      inputs: [oq, like(B, G, S, D), like(B, G, S, D), undefined, like(B, G, P, D), like(B, G, P, D)],
    },
  ],
  ['with a boolean mask of two axes', { inputs: [oq, ok, ok, mask([S, T], [0, 9, 30])] }],
  ['with a boolean mask of three axes', { inputs: [oq, ok, ok, mask([H, S, T], [0, 9, 30])] }],
  [
    'with a boolean mask of four axes, and causal',
    { attributes: { is_causal: 1 }, inputs: [oq, ok, ok, mask([B, 1, S, T], [9, 18, 50])] },
  ],
  ['with a mask of numbers', { inputs: [oq, ok, ok, like(B, H, S, T)] }],
  ['capped, with a mask of numbers', { attributes: { softcap: 1.2 }, inputs: [oq, ok, ok, like(B, 1, S, T)] }],
  ['capped, with a boolean mask', { attributes: { softcap: 1.2 }, inputs: [oq, ok, ok, mask([S, T], [0, 9, 30])] }],
  [
    'with lengths',
    { opset: 24, inputs: [oq, ok, ok, undefined, undefined, undefined, { dims: [B], data: [T, 4], type: 'int64' }] },
  ],
  [
    'with lengths, causal',
    {
      opset: 24,
      attributes: { is_causal: 1 },
      inputs: [oq, ok, ok, undefined, undefined, undefined, { dims: [B], data: [T, 6], type: 'int64' }],
    },
  ],
];

describe.each<[string, readonly (readonly [string, Omit<Form, 'operator'>])[]]>([
  [ms('GroupQueryAttention'), groupQuery.map(([name, form]) => [name, { outputs: 3, ...form }] as const)],
  [ms('MultiHeadAttention'), multiHead],
  [ms('Attention'), microsoft],
  [ms('QAttention'), integer],
  ['Attention', onnx],
])('%s', (operator, forms) => {
  test.each(forms)('%s', async (_, form) => {
    expect(await errorOf({ operator, ...form })).toBeLessThan(1e-4);
  });
});

/** As exporters repeat keys for the query heads that share them. */
function repeated(builder: GraphBuilder, name: string): string {
  const split = builder.node('Reshape', [name, builder.ints([0, 0, G, D])]);
  const turned = builder.node('Transpose', [split], { perm: [0, 2, 1, 3] });
  const apart = builder.node('Unsqueeze', [turned, builder.ints([2])]);
  const wide = builder.node('Expand', [apart, builder.ints([1, 1, H / G, 1, 1])]);
  const heads = builder.node('Reshape', [wide, builder.ints([0, H, -1, D])]);
  const back = builder.node('Transpose', [heads], { perm: [0, 2, 1, 3] });
  return builder.node('Reshape', [back, builder.ints([0, 0, H * D])]);
}

test('keys that the graph repeats for MultiHeadAttention are read as they were before', async () => {
  const builder = new GraphBuilder();
  const [query, key, value] = ['q', 'k', 'v'].map((name) =>
    builder.input(name, 'float', ['batch', name === 'q' ? 'queries' : 'keys', name === 'q' ? H * D : G * D]),
  );
  const inputs = [query!, repeated(builder, key!), repeated(builder, value!)];
  builder.output(builder.node(ms('MultiHeadAttention'), inputs, mha));
  const { tapped, run } = await openTapped(builder.bytesOfModel());
  expect(tapped.sites[0]).toMatchObject({ heads: H, kvHeads: G });
  const random = (size: number) => floats([1, S, size], builder.numbers([S, size]));
  const feeds: Feeds = { q: random(H * D), k: random(G * D), v: random(G * D) };
  expect(apartFromOutput(capture(tapped.sites[0]!, await run(feeds), feeds)!)).toBeLessThan(1e-4);
});

import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { prepareDecoderGraph } from '../../../../webview/engine/graph/decoder-graph.ts';
import { readModel, writeModel } from '../../../../webview/engine/graph/onnx-model.ts';
import { smallDecoder } from '../../support/small-decoder.ts';

const models = 'media/models';
const smol = new Uint8Array(readFileSync(`${models}/SmolLM2-135M-Instruct/onnx/model_q4.onnx`));
const miniLm = new Uint8Array(readFileSync(`${models}/all-MiniLM-L6-v2/onnx/model_quantized.onnx`));

const sameBytes = (a: Uint8Array, b: Uint8Array) => Buffer.compare(a, b) === 0;
const refusalOf = (bytes: Uint8Array) => {
  const { attention } = prepareDecoderGraph(bytes);
  return 'refused' in attention ? attention.refused : undefined;
};

describe('reading and writing ONNX', () => {
  it.each([
    ['a graph with external weights', smol],
    ['a graph with its weights inside', miniLm],
  ])('writes %s back byte for byte', (_, bytes) => {
    expect(sameBytes(writeModel(readModel(bytes)), bytes)).toBe(true);
  });

  it.each([
    ['nothing', new Uint8Array(0)],
    ['a truncated graph', smol.subarray(0, 100_000)],
    ['something else', new TextEncoder().encode('<!doctype html><title>404</title>')],
  ])('refuses %s', (_, bytes) => {
    expect(() => readModel(bytes)).toThrow(expect.objectContaining({ code: 'model-damaged' }));
  });
});

describe('preparing a decoder graph', () => {
  it('names Q, K and V of every layer and computes logits by row, and nothing else', () => {
    const { attention, hasLogitsRows, bytes } = prepareDecoderGraph(smol);
    if ('refused' in attention) throw new Error(attention.refused);
    expect(attention).toHaveLength(30);
    expect(attention[29]).toMatchObject({ heads: 9, kvHeads: 3, scale: 0.125, isPacked: false });
    expect(attention[29]?.pastKey).toBe('past_key_values.29.key');
    expect(hasLogitsRows).toBe(true);

    const [before, after] = [readModel(smol).graph, readModel(bytes).graph];
    expect(after.output.slice(before.output.length).map(({ name }) => name)).toEqual(
      attention.flatMap(({ query, key, value }) => [query, key, value]),
    );
    expect(after.input.slice(before.input.length).map(({ name }) => name)).toEqual(['logits_rows']);
    expect(after.initializer).toEqual(before.initializer);
    expect(after.node.filter(({ opType }) => opType === 'Gather')).toHaveLength(4);
    expect(after.node.length).toBe(before.node.length + 1);
  });

  it('changes nothing the second time', () => {
    const once = prepareDecoderGraph(smol).bytes;
    expect(sameBytes(prepareDecoderGraph(once).bytes, once)).toBe(true);
  });

  it.each(['matmul', 'quantised'] as const)('finds a %s head', (head) => {
    expect(prepareDecoderGraph(smallDecoder({ head })).hasLogitsRows).toBe(true);
  });

  it('leaves an unknown head alone', () => {
    const { hasLogitsRows, bytes } = prepareDecoderGraph(smallDecoder({ head: 'unknown' }));
    expect(hasLogitsRows).toBe(false);
    expect(readModel(bytes).graph.input.map(({ name }) => name)).not.toContain('logits_rows');
  });

  it('says what it found instead of attention that it knows', () => {
    expect(refusalOf(miniLm)).toMatch(/no GroupQueryAttention in it, but \d+ \w+/);
    expect(refusalOf(smallDecoder({ attention: 'MultiHeadAttention' }))).toContain('1 MultiHeadAttention');
  });

  it.each([
    [10, 'an attention bias'],
    [11, 'head sinks'],
    [12, 'an input (mystery) that is not known'],
  ])('refuses attention with input %i', (position, what) => {
    const refusal = refusalOf(smallDecoder({ extraInput: { position, name: 'mystery' } }));
    expect(refusal).toContain('/layers.0/attention');
    expect(refusal).toContain(what);
  });
});

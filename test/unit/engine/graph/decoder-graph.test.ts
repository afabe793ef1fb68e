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
  it('names what attention follows from, adds a gate for every layer, computes logits by row, and nothing else', () => {
    const { attention, hasLogitsRows, gateInputs, bytes } = prepareDecoderGraph(smol);
    if ('refused' in attention) throw new Error(attention.refused);
    expect(attention).toHaveLength(30);
    expect(attention[29]).toMatchObject({ heads: 9, kvHeads: 3, headDim: 64, scale: 0.125, layer: 29, kind: 'causal' });
    expect(attention[29]?.program?.key.tensor).toBe('present.29.key');
    expect(hasLogitsRows).toBe(true);

    const [before, after] = [readModel(smol).graph, readModel(bytes).graph];
    const added = after.output.slice(before.output.length).map(({ name }) => name);
    for (const { program, output } of attention)
      expect(added).toEqual(expect.arrayContaining([program!.query.tensor, output!.tensor]));
    expect(new Set(added).size).toBe(added.length);
    expect(after.input.slice(before.input.length).map(({ name }) => name)).toEqual([...gateInputs, 'logits_rows']);
    expect(gateInputs).toHaveLength(30);
    expect(after.initializer).toEqual(before.initializer);
    expect(after.node.filter(({ opType }) => opType === 'Gather')).toHaveLength(4);
    const inserted = after.node.filter(
      ({ output: [name] }) => !before.node.some(({ output: [other] }) => other === name),
    );
    expect(inserted.filter(({ opType }) => opType === 'Mul')).toHaveLength(30);
    expect(inserted.every(({ opType }) => ['Mul', 'Identity', 'Gather'].includes(opType))).toBe(true);
  });

  it.each(['matmul', 'quantised'] as const)('finds a %s head', (head) => {
    expect(prepareDecoderGraph(smallDecoder({ head })).hasLogitsRows).toBe(true);
  });

  it('leaves an unknown head alone', () => {
    const { hasLogitsRows, bytes } = prepareDecoderGraph(smallDecoder({ head: 'unknown' }));
    expect(hasLogitsRows).toBe(false);
    expect(readModel(bytes).graph.input.map(({ name }) => name)).not.toContain('logits_rows');
  });

  it('says why it reads no attention', () => {
    expect(refusalOf(smallDecoder({ attention: 'SparseAttention' }))).toContain('com.microsoft.SparseAttention');
    expect(refusalOf(smallDecoder({ attention: 'Conv' }))).toMatch(/no attention that is known here, but \d+ \w+/);
    const refusal = refusalOf(smallDecoder({ extraInput: { position: 12, name: 'attention_mask' } }));
    expect(refusal).toContain('/layers.0/attention (com.microsoft.GroupQueryAttention)');
    expect(refusal).toContain('its input attention_mask is not known here');
  });

  it('leaves a graph whose attention it cannot read as it came, but for the logits', () => {
    const graph = smallDecoder({ extraInput: { position: 12, name: 'attention_mask' } });
    const { bytes, gateInputs } = prepareDecoderGraph(graph);
    expect(gateInputs).toEqual([]);
    const outputs = (file: Uint8Array) => readModel(file).graph.output.map(({ name }) => name);
    expect(outputs(bytes)).toEqual(outputs(graph));
  });
});

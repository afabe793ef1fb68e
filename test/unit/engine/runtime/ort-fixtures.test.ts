import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { createInspection } from '../../../../webview/engine/inspect/inspection.ts';
import { attentionFixtures, readFixture } from '../../support/attention-fixture.ts';
import { loadGraph } from '../../support/small-runtime.ts';

const home = new URL('../../../fixtures/attention/', import.meta.url);
/** Rounded activations and float16 are further from PyTorch: their folders say how far. */
const toleranceOf = (name: string) =>
  JSON.parse(readFileSync(new URL(`${name}/meta.json`, home), 'utf8')).tolerance as {
    attention: number;
    outputs: number;
  };

/** Its caches are merged; and this build of ONNX Runtime has no GatherBlockQuantized. */
const notRun = ['gpt2-ort-attention', 'qwen2-gqa-q4', 'qwen2-gqa-q4-exact'];
const decoders = attentionFixtures().filter((name) => !notRun.includes(name));

describe('decoders of any export on ONNX Runtime', { timeout: 120_000 }, () => {
  it.each(decoders)('%s: logits, and attention as the decoder hands it on', async (name) => {
    const fixture = readFixture(name);
    const config = JSON.parse(readFileSync(new URL(`${name}/config.json`, home), 'utf8'));
    const { decoder, inspectionRefused } = await loadGraph(fixture.graph, config);
    try {
      expect(inspectionRefused).toBeUndefined();
      expect(decoder.hasGates).toBe(true);
      const tolerance = toleranceOf(name);
      const prefill = fixture.cases.find(({ past }) => past === 0)!;
      const inspection = await createInspection(decoder, prefill.inputIds);
      const n = prefill.inputIds.length;
      expect(inspection.layers).toBe(fixture.layers);
      let worst = 0;
      for (const [layer, { data, dims }] of prefill.attentions.entries())
        for (let head = 0; head < dims[1]!; head++)
          for (const [i, weight] of inspection.map(layer, head).entries())
            worst = Math.max(worst, Math.abs(weight - data[head * n * n + i]!));
      expect(worst).toBeLessThanOrEqual(tolerance.attention);
      const { logits } = await decoder.forward(decoder.createCache(), prefill.inputIds, { logits: 'all' });
      const apart = logits.reduce((most, x, i) => Math.max(most, Math.abs(x - prefill.logits.data[i]!)), 0);
      expect(apart).toBeLessThanOrEqual(tolerance.outputs);
    } finally {
      await decoder.dispose();
    }
  });
});

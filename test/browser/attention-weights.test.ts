/** Attention of the bundled model on WebAssembly, through the engine, against other implementations. */
import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openBrowserEngine } from '../../scripts/browser-engine/browser-engine.mjs';
import { readNumpy } from './support/numpy-file.ts';

const { runs } = JSON.parse(readFileSync('test/fixtures/bundled/smollm2.json', 'utf8')) as {
  runs: { ids: number[] }[];
};

type Engine = Awaited<ReturnType<typeof openBrowserEngine>>;

async function largestDifference(engine: Engine, run: number, file: string): Promise<number> {
  const { shape, data } = readNumpy(file);
  const [layers = 0, heads = 0, n = 0] = shape;
  const input = { kind: 'ids', ids: runs[run]?.ids ?? [] } as const;
  const { inspectionId } = await engine.call('inspect', { input, priority: 'interactive' });
  let largest = 0;
  for (let layer = 0; layer < layers; layer++)
    for (let head = 0; head < heads; head++) {
      const { weights } = await engine.call('attentionMap', { inspectionId, layer, head });
      expect(weights).toHaveLength(n * n);
      const start = (layer * heads + head) * n * n;
      for (const [i, weight] of weights.entries()) largest = Math.max(largest, Math.abs(weight - data[start + i]!));
    }
  await engine.call('closeInspection', { inspectionId });
  return largest;
}

describe.each(['simd', 'ort'] as const)('attention weights of %s', (runtime) => {
  let engine: Engine;
  beforeAll(async () => {
    engine = await openBrowserEngine({ device: 'wasm', runtime });
    await engine.load();
  });
  afterAll(() => engine?.close());

  it.each([2, 4])('equal those of PyTorch within 1e-4 (run %i)', async (run) => {
    expect(await largestDifference(engine, run, `test/fixtures/bundled/attention_${run}.npy`)).toBeLessThan(1e-4);
  });
});

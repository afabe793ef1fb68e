import * as ort from 'onnxruntime-web/webgpu';
import { beforeAll, describe, expect, it } from 'vitest';
import type { Decoder } from '../../../../webview/engine/decoder.ts';
import { createInspection } from '../../../../webview/engine/inspect/inspection.ts';
import { attended, type SmallDecoderForm, small, smallDecoder } from '../../support/small-decoder.ts';
import { loadSmall, someTokens } from '../../support/small-runtime.ts';

const tokens = someTokens(40);
const n = tokens.length;

/** What the operator itself made of its weights and values: [token, heads * headDim]. */
async function attendedByOrt(form: SmallDecoderForm): Promise<Float32Array> {
  const session = await ort.InferenceSession.create(smallDecoder(form), { executionProviders: ['wasm'] });
  const ints = (values: number[]) => new ort.Tensor('int64', BigInt64Array.from(values, BigInt), [1, values.length]);
  const past = () => new ort.Tensor('float32', new Float32Array(0), [1, small.kvHeads, 0, small.headDim]);
  const outputs = await session.run(
    {
      input_ids: ints(tokens),
      attention_mask: ints(tokens.map(() => 1)),
      'past_key_values.0.key': past(),
      'past_key_values.0.value': past(),
    },
    [attended],
  );
  await session.release();
  return outputs[attended]?.data as Float32Array;
}

/** The same from our weights and the tapped values. */
async function attendedByUs(decoder: Decoder): Promise<Float32Array> {
  const { heads, kvHeads, headDim } = decoder;
  const inspection = await createInspection(decoder, tokens);
  const { taps } = await decoder.forward(decoder.createCache(), tokens.slice(0, 32), { logits: 'none', taps: [0] });
  expect(taps[0]?.query).toHaveLength(32 * heads * headDim);
  const cache = decoder.createCache();
  await decoder.forward(cache, tokens.slice(0, 20), { logits: 'none' });
  const { taps: rest } = await decoder.forward(cache, tokens.slice(20), { logits: 'none', taps: [0] });
  const value = rest[0]!.value;
  const out = new Float32Array(n * heads * headDim);
  for (let head = 0; head < heads; head++) {
    const weights = inspection.map(0, head);
    const kvHead = Math.floor((head * kvHeads) / heads);
    for (let i = 0; i < n; i++)
      for (let j = 0; j < n; j++)
        for (let d = 0; d < headDim; d++)
          out[(i * heads + head) * headDim + d]! += weights[i * n + j]! * value[(kvHead * n + j) * headDim + d]!;
  }
  return out;
}

beforeAll(async () => void (await loadSmall()), 120_000); // compiles ONNX Runtime

describe('attention weights equal those that GroupQueryAttention uses', () => {
  it.each<[string, SmallDecoderForm]>([
    ['rotated', {}],
    ['rotated in neighbouring pairs', { isInterleaved: true }],
    ['rotated in part', { rotarySize: 16 }],
    ['rotated in part, in neighbouring pairs', { rotarySize: 16, isInterleaved: true }],
    ['not rotated', { rotarySize: 0 }],
    ['with Q, K and V packed in one', { isPacked: true }],
    ['packed and interleaved', { isPacked: true, isInterleaved: true }],
    ['with rotary caches that the graph computes', { hasComputedCaches: true }],
    ['with softcapped scores', { softcap: 2 }],
    ['with a sliding window', { window: 5 }],
    ['with a scale of its own', { scale: 0.7 }],
  ])('%s', async (_, form) => {
    const { decoder, inspectionRefused } = await loadSmall(form);
    expect(inspectionRefused).toBeUndefined();
    const [expected, computed] = [await attendedByOrt(form), await attendedByUs(decoder)];
    const apart = expected.reduce((worst, x, i) => Math.max(worst, Math.abs(x - computed[i]!)), 0);
    expect(apart).toBeLessThan(1e-5);
    await decoder.dispose();
  });
});

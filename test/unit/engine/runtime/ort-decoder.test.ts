import * as ort from 'onnxruntime-web/webgpu';
import { afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import type { Cache, Decoder } from '../../../../webview/engine/decoder.ts';
import { createInspection } from '../../../../webview/engine/inspect/inspection.ts';
import { small } from '../../support/small-decoder.ts';
import { loadSmall, sessionPrototype, someTokens } from '../../support/small-runtime.ts';

const tokens = someTokens(30);
const apart = (a: Float32Array, b: Float32Array) => a.reduce((worst, x, i) => Math.max(worst, Math.abs(x - b[i]!)), 0);

async function lastLogits(decoder: Decoder, cache: Cache, ids: readonly number[]): Promise<Float32Array> {
  return (await decoder.forward(cache, ids, { logits: 'last' })).logits;
}

beforeAll(async () => void (await loadSmall()), 120_000); // compiles ONNX Runtime

describe('a decoder on ONNX Runtime', () => {
  afterEach(() => vi.restoreAllMocks());

  it.each(['matmul', 'quantised', 'unknown'] as const)('gives the rows asked for, with a %s head', async (head) => {
    const { decoder } = await loadSmall({ head });
    const all = await decoder.forward(decoder.createCache(), tokens, { logits: 'all' });
    expect(all.logits).toHaveLength(tokens.length * small.vocab);
    const last = await lastLogits(decoder, decoder.createCache(), tokens);
    // Dynamic quantisation looks at all rows at once, so fewer rows are quantised more finely.
    expect(apart(last, all.logits.slice(-small.vocab))).toBeLessThan(head === 'quantised' ? 0.5 : 1e-5);
    const none = await decoder.forward(decoder.createCache(), tokens, { logits: 'none' });
    expect(none.logits).toHaveLength(0);
  });

  it('continues, crops and forks a cache as if the tokens had been run at once', async () => {
    const { decoder } = await loadSmall();
    const whole = await lastLogits(decoder, decoder.createCache(), tokens);
    const cache = decoder.createCache();
    await decoder.forward(cache, tokens.slice(0, 12), { logits: 'none' });
    const fork = cache.fork();
    expect(cache.sizeBytes + fork.sizeBytes).toBe(12 * 2 * small.kvHeads * small.headDim * 4);
    await decoder.forward(cache, [1, 2, 3, 4], { logits: 'none' });
    cache.crop(12);
    expect(apart(await lastLogits(decoder, cache, tokens.slice(12)), whole)).toBeLessThan(1e-5);
    expect(apart(await lastLogits(decoder, fork, tokens.slice(12)), whole)).toBeLessThan(1e-5);
    expect(cache.length).toBe(tokens.length);
    cache.dispose();
    expect(cache.sizeBytes).toBe(0);
    expect(
      apart(await lastLogits(decoder, fork, [5]), await lastLogits(decoder, decoder.createCache(), [5])),
    ).toBeGreaterThan(0);
    expect(() => fork.crop(99)).toThrow(RangeError);
  });

  it('fetches only logits and the present while nobody inspects', async () => {
    const { decoder } = await loadSmall();
    const run = vi.spyOn(sessionPrototype, 'run');
    const cache = decoder.createCache();
    await decoder.forward(cache, tokens.slice(0, 8), { logits: 'none' });
    await decoder.forward(cache, [1], { logits: 'last' });
    expect(run.mock.calls.map(([, fetches]) => fetches)).toEqual([
      ['present.0.key', 'present.0.value'],
      ['present.0.key', 'present.0.value', 'logits'],
    ]);
    expect(decoder.counters).toEqual({ forwardedTokens: 9, tappedBytes: 0 });

    await createInspection(decoder, tokens.slice(0, 8));
    expect(run.mock.calls[2]?.[1]).toEqual(['present.0.key', 'present.0.value', 'q', 'seqlens']);
    const perToken = (small.heads + 2 * small.kvHeads) * small.headDim * 4;
    expect(decoder.counters).toEqual({ forwardedTokens: 17, tappedBytes: 8 * perToken });
  });

  it('multiplies what heads hand on by their gates, in the same session', async () => {
    const { decoder } = await loadSmall();
    expect(decoder.hasGates).toBe(true);
    const create = vi.spyOn(ort.InferenceSession, 'create');
    const run = (gates?: readonly number[]) =>
      decoder.forward(decoder.createCache(), tokens, {
        logits: 'all',
        taps: [0],
        tapOutputs: true,
        ...(gates && { gates: Float32Array.from(gates) }),
      });
    const [plain, ones] = [await run(), await run(Array.from({ length: small.heads }, () => 1))];
    expect(ones.logits).toEqual(plain.logits);
    const gates = Array.from({ length: small.heads }, (_, head) => head);
    const gated = await run(gates);
    const { heads, headDim } = small;
    const expected = plain.taps[0]!.output!.map((x, i) => x * gates[Math.floor(i / headDim) % heads]!);
    expect(apart(gated.taps[0]!.output!, expected)).toBe(0);
    expect(apart(gated.logits, plain.logits)).toBeGreaterThan(1e-3);
    expect(create).not.toHaveBeenCalled();
  });

  it('refuses what does not fit, and leaves the cache as it was when cancelled', async () => {
    const { decoder } = await loadSmall();
    const cache = decoder.createCache();
    await decoder.forward(cache, tokens, { logits: 'none' });
    const cancelled = decoder.forward(cache, [1], { logits: 'last', signal: AbortSignal.abort() });
    await expect(cancelled).rejects.toMatchObject({ code: 'cancelled' });
    expect(cache.length).toBe(tokens.length);
    await decoder.forward(cache, tokens, { logits: 'none' });
    await expect(decoder.forward(cache, tokens, { logits: 'last' })).rejects.toMatchObject({
      code: 'context-overflow',
    });
    const tooMany = Array.from({ length: decoder.maxChunk + 1 }, () => 1);
    await expect(decoder.forward(decoder.createCache(), tooMany, { logits: 'last' })).rejects.toThrow(RangeError);
    expect(await lastLogits(decoder, decoder.createCache(), [1])).toHaveLength(small.vocab);
  });

  it('is unusable after the runtime threw', async () => {
    const { decoder } = await loadSmall();
    vi.spyOn(sessionPrototype, 'run').mockRejectedValueOnce(new Error('memory access out of bounds'));
    const failed = { code: 'engine-failed', message: 'memory access out of bounds' };
    await expect(lastLogits(decoder, decoder.createCache(), [1])).rejects.toMatchObject(failed);
    await expect(lastLogits(decoder, decoder.createCache(), [1])).rejects.toMatchObject(failed);
  });

  it('refuses inspection when the edited graph gives other logits, and then runs the untouched one', async () => {
    const run = sessionPrototype.run;
    vi.spyOn(sessionPrototype, 'run').mockImplementation(async function (this: ort.InferenceSession, ...args) {
      const outputs = await run.apply(this, args as never);
      const isEdited = this.outputNames.includes('q');
      const logits = outputs.logits as ort.Tensor | undefined;
      if (isEdited && logits) (logits.data as Float32Array)[3]! += 1e-3;
      return outputs;
    } as typeof run);
    const { decoder, inspectionRefused, verdict } = await loadSmall();
    expect(inspectionRefused).toContain('"logits"');
    expect(verdict?.tapsEqual).toBe(false);
    expect(decoder.attention).toEqual({ refused: inspectionRefused });
    await expect(createInspection(decoder, [1])).rejects.toMatchObject({ code: 'model-unsupported' });
    expect(await lastLogits(decoder, decoder.createCache(), [1])).toHaveLength(small.vocab);
  });

  it('measures nothing again for a known verdict', async () => {
    const { verdict } = await loadSmall();
    const create = vi.spyOn(ort.InferenceSession, 'create');
    const known = await loadSmall({}, verdict);
    expect(create).toHaveBeenCalledTimes(1);
    expect(known.verdict).toEqual(verdict);
    await loadSmall({ scale: 0.3 }, verdict); // another graph
    expect(create).toHaveBeenCalledTimes(3);
  });
});

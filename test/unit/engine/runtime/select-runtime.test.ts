import { describe, expect, it } from 'vitest';
import { compareLogits, isSameModel } from '../../../../webview/engine/runtime/compare-logits.ts';
import { chooseAdapter, type Gpu } from '../../../../webview/engine/runtime/web-gpu-adapter.ts';

const gpu = (adapter: Awaited<ReturnType<Gpu['requestAdapter']>>): Gpu => ({ requestAdapter: async () => adapter });
const real = gpu({ info: { vendor: 'nvidia', architecture: 'ampere' } });
const swiftShader = gpu({ info: { vendor: 'google', architecture: 'swiftshader', isFallbackAdapter: true } });

describe('choosing an adapter', () => {
  it.each([
    ['WebAssembly is asked for', { device: 'wasm' }, real, 'asks for it'],
    ['there is no WebGPU', { device: 'auto' }, undefined, 'not available'],
    ['there is no adapter', { device: 'webgpu' }, gpu(null), 'no graphics adapter'],
    ['the adapter is a fallback', { device: 'auto' }, gpu({ isFallbackAdapter: true }), 'emulated in software'],
    ['the adapter is SwiftShader', { device: 'auto' }, swiftShader, 'swiftshader'],
    ['it is llvmpipe', { device: 'auto' }, gpu({ info: { description: 'llvmpipe (LLVM 17)' } }), 'emulated'],
  ] as const)('stays on WebAssembly when %s', async (_, wish, available, why) => {
    expect(await chooseAdapter(wish, available)).toEqual({ refused: expect.stringContaining(why) });
  });

  it('stays on WebAssembly when asking for an adapter fails', async () => {
    const broken: Gpu = { requestAdapter: () => Promise.reject(new Error('lost')) };
    expect(await chooseAdapter({ device: 'auto' }, broken)).toHaveProperty('refused');
  });

  it('tries a real one, and a software one only when told to', async () => {
    expect(await chooseAdapter({ device: 'auto' }, real)).toEqual({ adapter: 'nvidia ampere' });
    const name = { adapter: 'google swiftshader' };
    expect(await chooseAdapter({ device: 'webgpu' }, swiftShader)).toEqual(name);
    expect(await chooseAdapter({ device: 'auto', allowSoftwareAdapter: true }, swiftShader)).toEqual(name);
  });
});

describe('comparing logits', () => {
  const reference = Float32Array.of(0, 5, 10, 10, 0, 5); // two rows, tops 2 and 0
  const isSame = (...other: number[]) => isSameModel(compareLogits(reference, Float32Array.from(other), 3));

  it('allows 1 % of the range', () => {
    expect(isSame(0.09, 5, 10, 10, 0, 5)).toBe(true);
    expect(isSame(0.11, 5, 10, 10, 0, 5)).toBe(false);
  });

  it('wants every top token', () => {
    const close = Float32Array.of(0, 9.95, 10);
    expect(isSameModel(compareLogits(close, Float32Array.of(0, 10, 9.95), 3))).toBe(false);
    const tied = Float32Array.of(0, 9.9999, 10);
    expect(isSameModel(compareLogits(tied, Float32Array.of(0, 10, 9.9999), 3))).toBe(true);
  });

  it('never takes what is not a number, or of another size', () => {
    expect(isSame(Number.NaN, 5, 10, 10, 0, 5)).toBe(false);
    expect(isSame(0, 5, 10)).toBe(false);
    expect(isSame(Number.NaN, Number.NaN, Number.NaN, Number.NaN, Number.NaN, Number.NaN)).toBe(false);
  });
});

/**
 * Decides between WebGPU and WebAssembly: WebGPU when the adapter is real and a probe agrees with WebAssembly. The
 * verdict holds for one model graph, adapter and engine version, and need not be measured again.
 */
import { isCancelled, toAppError } from '../../../src/shared/app-error.ts';
import type { LoadProgress, Verdict } from '../../../src/shared/engine-contract.ts';
import { type DecoderSource, openDecoder, wasmChunk } from './decoder-source.ts';
import { largestStep, type ProbeReference, probe, takeReference } from './probe.ts';
import type { AdapterChoice } from './web-gpu-adapter.ts';

export interface SelectOptions {
  readonly modelId: string;
  readonly knownVerdict?: Verdict | undefined;
  readonly signal?: AbortSignal | undefined;
  onProgress(progress: LoadProgress): void;
}

export interface Selection {
  readonly verdict: Verdict;
  /** Logits of the untouched graph on the chosen device for the shortest prompt, when the probe measured them. */
  readonly sample?: Float32Array;
}

export async function selectRuntime(
  source: DecoderSource,
  choice: AdapterChoice,
  options: SelectOptions,
): Promise<Selection> {
  const adapter = 'adapter' in choice ? choice.adapter : 'none tried';
  const key = [options.modelId, await fingerprint(source.original), source.ort.env.versions.web, adapter].join(' | ');
  if (options.knownVerdict?.key === key)
    return {
      verdict: 'refused' in choice ? { ...options.knownVerdict, reason: choice.refused } : options.knownVerdict,
    };
  if ('refused' in choice) return { verdict: { key, device: 'wasm', reason: choice.refused } };
  return measure(source, options, key, choice.adapter);
}

async function measure(
  source: DecoderSource,
  { signal, onProgress }: SelectOptions,
  key: string,
  adapter: string,
): Promise<Selection> {
  const watch = (message: string) => ({
    signal,
    onProgress: (done: number, total: number) => onProgress({ phase: 'probe', done, total, message }),
  });
  const reference = await takeWasmReference(source, watch('Computing reference numbers on WebAssembly'));
  const wasm = (why: string): Selection => ({
    verdict: { key, device: 'wasm', reason: `WebAssembly: WebGPU (${adapter}) ${why}.` },
    sample: reference.short,
  });
  onProgress({ phase: 'probe', done: 0, total: 1, message: 'Preparing the model on WebGPU' });
  try {
    const decoder = await openDecoder(source, { device: 'webgpu', isEdited: false, maxChunk: largestStep });
    try {
      const result = await probe(decoder, reference, watch('Comparing WebGPU with WebAssembly'));
      if (!result.isRight) return wasm(`is wrong here: ${result.fault}`);
      const { maxChunk, worst, fault } = result;
      const agreement = `its logits equal WebAssembly's within ${(100 * worst.ofRange).toPrecision(1)} % of their range`;
      const steps = maxChunk === undefined ? '' : `, in steps of at most ${maxChunk} tokens, because ${fault}`;
      const reason = `WebGPU (${adapter}): ${agreement}${steps}.`;
      return { verdict: { key, device: 'webgpu', reason, ...(maxChunk !== undefined && { maxChunk }) } };
    } finally {
      await decoder.dispose();
    }
  } catch (thrown) {
    if (isCancelled(thrown)) throw thrown;
    return wasm(`failed: ${toAppError(thrown).message.replace(/\.$/, '')}`);
  }
}

async function takeWasmReference(
  source: DecoderSource,
  watch: Parameters<typeof takeReference>[1],
): Promise<ProbeReference> {
  const decoder = await openDecoder(source, { device: 'wasm', isEdited: false, maxChunk: wasmChunk });
  try {
    return await takeReference(decoder, watch);
  } finally {
    await decoder.dispose(); // before WebGPU's session, so that memory holds the weights once
  }
}

async function fingerprint(bytes: Uint8Array): Promise<string> {
  const digest = new Uint8Array(await crypto.subtle.digest('SHA-256', bytes as Uint8Array<ArrayBuffer>));
  return Array.from(digest.subarray(0, 8), (byte) => byte.toString(16).padStart(2, '0')).join('');
}

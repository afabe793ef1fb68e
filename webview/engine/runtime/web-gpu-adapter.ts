/** Whether there is a WebGPU adapter worth trying, and which. */
import type { DeviceChoice } from '../../../src/shared/engine-contract.ts';

/** The little of WebGPU that is used here; TypeScript brings no types for it. */
interface Adapter {
  readonly isFallbackAdapter?: boolean;
  readonly info?: {
    readonly vendor?: string;
    readonly architecture?: string;
    readonly device?: string;
    readonly description?: string;
    readonly isFallbackAdapter?: boolean;
  };
}
export interface Gpu {
  requestAdapter(options: { powerPreference: 'high-performance' }): Promise<Adapter | null>;
}

export interface AdapterWish {
  readonly device: DeviceChoice;
  readonly allowSoftwareAdapter?: boolean | undefined;
}

/** An adapter to try, or a sentence why WebAssembly is used without trying. */
export type AdapterChoice = { readonly adapter: string } | { readonly refused: string };

const softwareAdapters = /swiftshader|llvmpipe|lavapipe|softpipe|basic render|\bwarp\b/i;

export async function chooseAdapter(
  { device, allowSoftwareAdapter = false }: AdapterWish,
  gpu: Gpu | undefined = (globalThis as { navigator?: { gpu?: Gpu } }).navigator?.gpu,
): Promise<AdapterChoice> {
  if (device === 'wasm') return { refused: 'WebAssembly: the setting "Device" asks for it.' };
  const adapter = await gpu?.requestAdapter({ powerPreference: 'high-performance' }).catch(() => null);
  if (!gpu) return { refused: 'WebAssembly: WebGPU is not available here.' };
  if (!adapter) return { refused: 'WebAssembly: WebGPU found no graphics adapter.' };
  const { vendor, architecture, device: model, description } = adapter.info ?? {};
  const name = [vendor, architecture, model, description].filter(Boolean).join(' ') || 'unnamed adapter';
  const isSoftware = (adapter.info?.isFallbackAdapter ?? adapter.isFallbackAdapter) || softwareAdapters.test(name);
  if (isSoftware && device !== 'webgpu' && !allowSoftwareAdapter)
    return { refused: `WebAssembly: the only WebGPU adapter (${name}) is emulated in software.` };
  return { adapter: name };
}

/** How fast a generation was, in the figures that people compare. */
import type { GenerateResult } from './engine-contract.ts';

export interface RunSpeed {
  /** New tokens of the prompt a second; absent when all came from the prefix cache. */
  readonly prefillPerSecond?: number;
  /** Tokens a second after the first; absent when there was one token or none. */
  readonly decodePerSecond?: number;
  /** Waiting for other work is not in it. */
  readonly firstTokenMs: number;
}

type Timed = Pick<
  GenerateResult,
  'computedTokens' | 'prefillMs' | 'generatedTokens' | 'decodeMs' | 'firstTokenMs' | 'promptTokens'
>;

export function speedOf({ computedTokens, prefillMs, generatedTokens, decodeMs, firstTokenMs }: Timed): RunSpeed {
  const later = generatedTokens - 1;
  return {
    ...(computedTokens > 1 && prefillMs > 0 && { prefillPerSecond: (computedTokens * 1000) / prefillMs }),
    ...(later > 0 && decodeMs > 0 && { decodePerSecond: (later * 1000) / decodeMs }),
    firstTokenMs,
  };
}

/** "0.84", "2.5", "47": enough digits to compare by. */
export function formatRate(perSecond: number): string {
  if (perSecond >= 10) return Math.round(perSecond).toString();
  return perSecond.toFixed(perSecond < 1 ? 2 : 1);
}

/** "96 MB": powers of ten, as the editor's own download sizes. */
export function formatBytes(bytes: number): string {
  if (bytes < 1e6) return `${Math.round(bytes / 1e3)} kB`;
  if (bytes < 1e9) return `${Math.round(bytes / 1e6)} MB`;
  return `${(bytes / 1e9).toFixed(1)} GB`;
}

/** "350 ms", "4.2 s". */
export function formatDuration(ms: number): string {
  return ms < 1000 ? `${Math.round(ms)} ms` : `${(ms / 1000).toFixed(1)} s`;
}

/** The device in the words of the interface. */
export function deviceName(device: 'webgpu' | 'wasm'): string {
  return device === 'webgpu' ? 'WebGPU' : 'WASM';
}

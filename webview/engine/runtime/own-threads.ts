/** How many threads our own kernels compute on here, and the machine with them: or one thread, and why. */
import { toAppError } from '../../../src/shared/app-error.ts';
import { Machine } from './simd/machine.ts';
import type { StartThread } from './simd/thread-pool.ts';
import { startWebThread } from './simd/web-thread.ts';

/** Of the platform; given in tests. */
export interface ThreadPlatform {
  /** SharedArrayBuffer, and with it threads: https://developer.mozilla.org/docs/Web/API/Window/crossOriginIsolated */
  readonly isIsolated: boolean;
  readonly cores: number;
  readonly start: StartThread;
}

export interface ThreadChoice {
  readonly count: number;
  /** Part of a sentence: why there are not as many as were asked for. */
  readonly reason?: string;
}

/** Two threads on one core share its units for products: automatic takes half of what the platform calls cores. */
const mostAutomatic = 4;

function thisPlatform(): ThreadPlatform {
  return {
    isIsolated: globalThis.crossOriginIsolated === true,
    cores: globalThis.navigator?.hardwareConcurrency ?? 1,
    start: startWebThread,
  };
}

/** `wanted` is the setting: 0 is automatic. */
export function chooseThreads(wanted: number, { isIsolated, cores }: ThreadPlatform): ThreadChoice {
  const automatic = Math.max(1, Math.min(mostAutomatic, Math.floor(cores / 2)));
  const count = wanted || automatic;
  if (count === 1) return { count };
  if (!isIsolated)
    return { count: 1, ...(wanted > 1 && { reason: 'because this window is not cross-origin isolated' }) };
  // Threads wait for one another at every step: one without a core would hold up all.
  if (count > cores) return { count: cores, reason: 'because the computer has no more cores' };
  return { count };
}

export interface OpenedThreads {
  /** Undefined: one thread, on a build for one. */
  readonly machine?: Machine;
  /** Part of a sentence, such as "2 threads". */
  readonly how: string;
}

/** Threads that cannot be started are no reason to fail. */
export async function openThreads(
  wanted: number,
  readKernels: () => Promise<ArrayBuffer>,
  platform: ThreadPlatform = thisPlatform(),
): Promise<OpenedThreads> {
  const { count, reason } = chooseThreads(wanted, platform);
  const say = (threads: number, why: string | undefined) =>
    [threads === 1 ? 'one thread' : `${threads} threads`, ...(why ? [why] : [])].join(', ');
  if (count === 1) return { how: say(1, reason) };
  try {
    const machine = await Machine.openThreads({ count, kernels: await readKernels(), start: platform.start });
    return { machine, how: say(count, reason) };
  } catch (thrown) {
    const why = toAppError(thrown).message.replace(/\.$/, '');
    return { how: say(1, `because threads could not be started: ${why}`) };
  }
}

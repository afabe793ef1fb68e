/**
 * Finds a side that went silent: while calls wait for it, it is pinged, and when it has not said a word for a number of
 * ticks, its Peer is closed. Ticks are counted, not time, so that a computer that slept does not count as a dead side.
 */
import { AppError } from './app-error.ts';

interface Watched {
  readonly pendingCount: number;
  readonly heardCount: number;
  readonly isClosed: boolean;
  ping(): void;
  close(reason: AppError): void;
}

export interface WatchdogOptions {
  readonly tickMs: number;
  readonly silentTicks: number;
  /** What is watched, in the words of a sentence: "The engine worker". */
  readonly name: string;
}

/** Generous: the longest single step, compiling the model on a slow machine, takes a fraction of it. */
export const patience = { tickMs: 5_000, silentTicks: 24 } as const;

/** Returns what ends the watch; it ends by itself once the Peer is closed. */
export function startWatchdog(peer: Watched, { tickMs, silentTicks, name }: WatchdogOptions): () => void {
  let heard = peer.heardCount;
  let silent = 0;
  const tick = () => {
    if (peer.isClosed) return clearInterval(timer);
    const isAlive = peer.heardCount !== heard || peer.pendingCount === 0;
    heard = peer.heardCount;
    silent = isAlive ? 0 : silent + 1;
    if (silent >= silentTicks) {
      clearInterval(timer);
      const seconds = Math.round((tickMs * silentTicks) / 1000);
      peer.close(new AppError('engine-died', `${name} has not answered for ${seconds} s. Restart the engine.`));
    } else if (peer.pendingCount > 0) peer.ping();
  };
  const timer = setInterval(tick, tickMs);
  return () => clearInterval(timer);
}

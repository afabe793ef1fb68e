/** The watchdog ends a silent side, and only that. */
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { startWatchdog } from '../../src/shared/watchdog.ts';

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

function watch(side: { pendingCount?: number; isAlive?: boolean }) {
  const watched = {
    pendingCount: side.pendingCount ?? 1,
    heardCount: 0,
    isClosed: false,
    pings: 0,
    ping() {
      this.pings++;
      if (side.isAlive) this.heardCount++;
    },
    close: vi.fn(function (this: { isClosed: boolean }) {
      this.isClosed = true;
    }),
  };
  const stop = startWatchdog(watched, { tickMs: 1000, silentTicks: 3, name: 'The engine worker' });
  return { watched, stop };
}

test('closes a side that says nothing while it is waited for, and says for how long', () => {
  const { watched } = watch({});
  vi.advanceTimersByTime(2000);
  expect(watched.close).not.toHaveBeenCalled();
  vi.advanceTimersByTime(1000);
  expect(watched.close).toHaveBeenCalledOnce();
  expect(watched.close.mock.calls[0]).toMatchObject([
    { code: 'engine-died', message: expect.stringContaining('not answered for 3 s') },
  ]);
  expect(vi.getTimerCount()).toBe(0);
});

test('leaves alone who answers, who is not waited for, and who spoke once in a while', () => {
  const alive = watch({ isAlive: true });
  const idle = watch({ pendingCount: 0 });
  const slow = watch({});
  for (let tick = 0; tick < 100; tick++) {
    vi.advanceTimersByTime(1000);
    if (tick % 2 === 0) slow.watched.heardCount++;
  }
  for (const { watched } of [alive, idle, slow]) expect(watched.close).not.toHaveBeenCalled();
  expect(idle.watched.pings).toBe(0);
});

test('does not count the time in which the computer slept', () => {
  const { watched } = watch({});
  vi.advanceTimersByTime(1000);
  vi.setSystemTime(Date.now() + 8 * 3_600_000);
  vi.advanceTimersByTime(1000);
  expect(watched.close).not.toHaveBeenCalled();
});

test('ends when told to', () => {
  const { watched, stop } = watch({});
  stop();
  vi.advanceTimersByTime(60_000);
  expect(watched.close).not.toHaveBeenCalled();
});

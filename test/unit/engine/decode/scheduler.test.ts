/** Who may use the model when, without any model. */
import { expect, test } from 'vitest';
import type { Priority } from '../../../../src/shared/engine-contract.ts';
import { Scheduler, type Turn } from '../../../../webview/engine/decode/scheduler.ts';

const nextTask = () => new Promise<void>((resolve) => setTimeout(resolve));

function start(scheduler: Scheduler, log: string[], name: string, priority: Priority, steps = 3) {
  const controller = new AbortController();
  const queued: number[] = [];
  const work = async (turn: Turn) => {
    for (let step = 1; step <= steps; step++) {
      await turn.pause();
      log.push(`${name}${step}`);
    }
    return name;
  };
  const options = { priority, signal: controller.signal, onQueued: (ahead: number) => queued.push(ahead) };
  const done = scheduler.run(options, work).catch((error) => error.code as string);
  return { done, queued, cancel: () => controller.abort() };
}

test('lets what is more urgent overtake between two steps, and goes on afterwards', async () => {
  const log: string[] = [];
  const scheduler = new Scheduler(nextTask);
  const slow = start(scheduler, log, 'b', 'background', 4);
  while (log.length < 2) await nextTask();
  const inline = start(scheduler, log, 'i', 'inline', 2);
  while (!log.includes('i1')) await nextTask();
  const urgent = start(scheduler, log, 'u', 'interactive', 2);
  expect(await Promise.all([slow.done, inline.done, urgent.done])).toEqual(['b', 'i', 'u']);
  expect(log).toEqual(['b1', 'b2', 'i1', 'u1', 'u2', 'i2', 'b3', 'b4']);
});

test('is first come, first served within a priority, and says how many go first', async () => {
  const log: string[] = [];
  const scheduler = new Scheduler(nextTask);
  const jobs = ['a', 'b', 'c'].map((name) => start(scheduler, log, name, 'interactive', 2));
  await Promise.all(jobs.map(({ done }) => done));
  expect(log).toEqual(['a1', 'a2', 'b1', 'b2', 'c1', 'c2']);
  expect(jobs.map(({ queued }) => queued)).toEqual([[], [1], [2, 1]]);
});

test('cancels older inline work for newer, and nothing else', async () => {
  const log: string[] = [];
  const scheduler = new Scheduler(nextTask);
  const other = start(scheduler, log, 'u', 'interactive', 5);
  const old = [start(scheduler, log, 'x', 'inline'), start(scheduler, log, 'y', 'inline')];
  const fresh = start(scheduler, log, 'z', 'inline');
  const outcomes = await Promise.all([other, ...old, fresh].map(({ done }) => done));
  expect(outcomes).toEqual(['u', 'cancelled', 'cancelled', 'z']);
});

test('cancels what runs within one step, and what waits at once', async () => {
  const log: string[] = [];
  const scheduler = new Scheduler(nextTask);
  const running = start(scheduler, log, 'r', 'interactive', 100);
  const waiting = start(scheduler, log, 'w', 'interactive');
  const last = start(scheduler, log, 'l', 'background', 1);
  while (log.length < 3) await nextTask();
  waiting.cancel();
  expect(await waiting.done).toBe('cancelled');
  const steps = log.length;
  running.cancel();
  expect(await running.done).toBe('cancelled');
  expect(log.filter((entry) => entry.startsWith('r')).length).toBeLessThanOrEqual(steps + 1);
  expect(await last.done).toBe('l');
});

test('goes on after work that throws', async () => {
  const scheduler = new Scheduler(nextTask);
  const options = { priority: 'interactive', signal: new AbortController().signal } as const;
  const failing = scheduler.run(options, () => Promise.reject(new Error('broken')));
  const next = scheduler.run(options, async () => 'fine');
  await expect(failing).rejects.toThrow('broken');
  expect(await next).toBe('fine');
  const late = AbortSignal.abort();
  await expect(scheduler.run({ ...options, signal: late }, async () => 'no')).rejects.toMatchObject({
    code: 'cancelled',
  });
});

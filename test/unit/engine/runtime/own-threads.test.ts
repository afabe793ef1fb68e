/** How many threads there are on which platform, and what the Model view says about it. */
import { expect, test } from 'vitest';
import { compileThreadedKernels } from '../../../../scripts/kernels.mjs';
import { chooseThreads, openThreads } from '../../../../webview/engine/runtime/own-threads.ts';
import { startNodeThread } from '../../support/node-thread.ts';

const platform = (cores: number, isIsolated = true) => ({ cores, isIsolated, start: startNodeThread });

test.each([
  [0, 1, 1],
  [0, 2, 1],
  [0, 4, 2],
  [0, 64, 4],
  [1, 64, 1],
  [2, 2, 2],
  [16, 64, 16],
])('setting %i on %i cores: %i', (wanted, cores, count) => {
  expect(chooseThreads(wanted, platform(cores))).toEqual({ count });
});

test('says why there are fewer than were asked for, and only then', () => {
  expect(chooseThreads(0, platform(8, false))).toEqual({ count: 1 });
  expect(chooseThreads(4, platform(8, false)).reason).toContain('not cross-origin isolated');
  expect(chooseThreads(4, platform(2))).toMatchObject({ count: 2, reason: expect.stringContaining('no more cores') });
});

test('opens a machine with as many threads', async () => {
  const read = async () => (await compileThreadedKernels()).relaxed.buffer;
  const { machine, how } = await openThreads(3, read, platform(4));
  expect([machine?.threads, how]).toEqual([3, '3 threads']);
  machine?.close();
}, 60_000);

test('goes on with one thread where none can be started, and says why', async () => {
  const start = () => startNodeThread('throw new Error("workers are forbidden here");');
  const read = async () => (await compileThreadedKernels()).relaxed.buffer;
  const { machine, how } = await openThreads(2, read, { ...platform(4), start });
  expect(machine).toBeUndefined();
  expect(how).toBe('one thread, because threads could not be started: workers are forbidden here');
}, 60_000);

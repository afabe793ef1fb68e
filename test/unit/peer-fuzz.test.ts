/** 100,000 malformed, reordered, truncated and repeated frames: the Peer never throws, hangs or keeps what is over. */
import * as v from 'valibot';
import { expect, test } from 'vitest';
import { AppError } from '../../src/shared/app-error.ts';
import { Peer, type Port } from '../../src/shared/peer.ts';
import { createRandom } from './support/random.ts';

const contract = {
  echo: { params: v.object({ text: v.string() }), progress: v.string(), result: v.string() },
  slow: { params: v.undefined(), progress: v.undefined(), result: v.undefined() },
} as const;

const seeds = [1, 2, 3, 4, 5];
const framesPerSeed = 20_000;

test.each(seeds)('seed %i', async (seed) => {
  const random = createRandom(seed);
  const pick = <T>(values: readonly T[]): T => values[Math.floor(random() * values.length)] as T;
  const uncaught: unknown[] = [];
  const onUncaught = (error: unknown) => uncaught.push(error);
  process.on('unhandledRejection', onUncaught);

  let deliver: (message: unknown) => void = () => {};
  let hangUp: (reason: AppError) => void = () => {};
  const sent: Record<string, unknown>[] = [];
  const port: Port = {
    post: (message) => sent.push(structuredClone(message) as Record<string, unknown>),
    listen: (onMessage, onClose) => {
      deliver = onMessage;
      hangUp = onClose;
    },
    close: () => {},
  };
  const peer = new Peer({
    port,
    serves: contract,
    calls: contract,
    handlers: {
      echo: ({ text }, { progress }) => {
        progress(text);
        if (text.length % 7 === 3) throw new Error(text);
        return text;
      },
      slow: (_, { signal }) =>
        new Promise((resolve, reject) => {
          signal.addEventListener('abort', () => reject(signal.reason));
          setImmediate(() => resolve());
        }),
    },
    onFault: () => {
      throw new Error('A listener that throws must not matter.');
    },
  });

  const outcomes: Promise<string>[] = [];
  const junk = [
    undefined,
    null,
    true,
    0,
    -1,
    1.5,
    Number.NaN,
    1e308,
    '',
    'call',
    [],
    {},
    Object.create(null),
    new Map(),
  ];
  const ids = () => pick([0, 1, 2, 3, Math.floor(random() * 50), pick(junk)]);
  const kinds = ['call', 'progress', 'result', 'error', 'cancel', 'ping', 'pong', 'reply', '__proto__', pick(junk)];
  const names = ['echo', 'slow', 'toString', '__proto__', 'hasOwnProperty', '', pick(junk)];
  const errors = [
    { code: 'cancelled', message: 'x' },
    { code: 'nonsense', message: 'x' },
    { code: 'protocol' },
    ...junk,
  ];
  const makeFrame = (): unknown => {
    const frame: Record<string, unknown> = {
      kind: pick(kinds),
      id: ids(),
      method: pick(names),
      params: pick([{ text: 'x'.repeat(Math.floor(random() * 9)) }, { text: 1 }, undefined, pick(junk)]),
      value: pick(['text', undefined, pick(junk)]),
      error: pick(errors),
    };
    for (const key of Object.keys(frame)) if (random() < 0.15) delete frame[key]; // truncated
    if (random() < 0.05) Object.setPrototypeOf(frame, { kind: 'call', id: 1 });
    return random() < 0.1 ? pick(junk) : frame;
  };
  const held: unknown[] = [];
  for (let at = 0; at < framesPerSeed; at++) {
    if (random() < 0.05) {
      const stop = random() < 0.3 ? AbortSignal.timeout(1) : undefined;
      const call =
        random() < 0.5 ? peer.call('echo', { text: 'hello' }, { signal: stop }) : peer.call('slow', undefined);
      outcomes.push(
        call.then(
          () => 'result',
          (error) => (error instanceof AppError ? error.code : `not an AppError: ${error}`),
        ),
      );
    }
    const frame = makeFrame();
    if (random() < 0.2)
      held.push(frame); // reordered: delivered later, or twice
    else deliver(frame);
    if (held.length > 30) for (const late of held.splice(0)) deliver(late);
    if (at % 1000 === 0) await new Promise((resolve) => setImmediate(resolve));
  }

  // The Peer still works after all that.
  const before = sent.length;
  deliver({ kind: 'call', id: 999_999, method: 'echo', params: { text: 'hello' } });
  await new Promise((resolve) => setTimeout(resolve, 20));
  expect(sent.slice(before)).toContainEqual({ kind: 'result', id: 999_999, value: 'hello' });

  hangUp(new AppError('engine-died', 'over'));
  const codes = new Set(await Promise.all(outcomes)); // no call hangs
  for (const code of codes) expect(['result', 'cancelled', 'engine-died', 'protocol']).toContain(code);
  expect(outcomes.length).toBeGreaterThan(500);
  expect([peer.pendingCount, peer.runningCount]).toEqual([0, 0]);
  await new Promise((resolve) => setImmediate(resolve));
  process.off('unhandledRejection', onUncaught);
  expect(uncaught).toEqual([]);
});

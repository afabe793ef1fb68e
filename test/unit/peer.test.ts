/** The Peer over a pair of ports in memory: every way in which a call can end. */
import * as v from 'valibot';
import { describe, expect, test, vi } from 'vitest';
import { AppError } from '../../src/shared/app-error.ts';
import { type Handlers, Peer, Transfer } from '../../src/shared/peer.ts';
import { cloneAsJson, createPortPair } from './support/port-pair.ts';

const contract = {
  add: { params: v.object({ a: v.number(), b: v.number() }), progress: v.undefined(), result: v.number() },
  count: { params: v.object({ to: v.number() }), progress: v.number(), result: v.undefined() },
  wait: { params: v.undefined(), progress: v.undefined(), result: v.undefined() },
  fail: { params: v.object({ how: v.string() }), progress: v.undefined(), result: v.undefined() },
  floats: { params: v.undefined(), progress: v.undefined(), result: v.instance(Float32Array) },
} as const;
type Methods = typeof contract;

const nothing = {} as const;

function connect(clone?: Parameters<typeof createPortPair>[0], overrides: Partial<Handlers<Methods>> = {}) {
  const ports = createPortPair(clone);
  const faults: string[] = [];
  const aborted = vi.fn();
  const handlers: Handlers<Methods> = {
    add: ({ a, b }) => a + b,
    count: ({ to }, { progress }) => {
      for (let at = 1; at <= to; at++) progress(at);
    },
    wait: (_, { signal }) =>
      new Promise((_resolve, reject) => {
        signal.addEventListener('abort', () => {
          aborted(signal.reason);
          reject(signal.reason);
        });
      }),
    fail: ({ how }) => {
      if (how === 'app') throw new AppError('context-overflow', 'Too long by 3 tokens.');
      if (how === 'error') throw new TypeError('x is not a function');
      throw how === 'bare' ? Object.create(null) : how;
    },
    floats: () => {
      const floats = new Float32Array([1, 2, 3]);
      return new Transfer(floats, [floats.buffer]);
    },
    ...overrides,
  };
  const server = new Peer({
    port: ports.right,
    serves: contract,
    calls: nothing,
    handlers,
    onFault: (fault) => faults.push(fault),
  });
  const caller = new Peer({
    port: ports.left,
    serves: nothing,
    calls: contract,
    handlers: nothing,
    onFault: (fault) => faults.push(fault),
  });
  return { caller, server, ports, faults, aborted };
}

const settled = (work: Promise<unknown>) =>
  work.catch((error: AppError) => ({ code: error.code, message: error.message }));
const turns = async (count = 4) => {
  for (let turn = 0; turn < count; turn++) await new Promise((resolve) => setImmediate(resolve));
};

describe('a call', () => {
  test('brings the result, the progress in order, and moves what is to be moved', async () => {
    const { caller, faults } = connect();
    expect(await caller.call('add', { a: 2, b: 3 })).toBe(5);
    const seen: number[] = [];
    expect(await caller.call('count', { to: 4 }, { onProgress: (value) => seen.push(value) })).toBeUndefined();
    expect(seen).toEqual([1, 2, 3, 4]);
    expect(await caller.call('floats', undefined)).toEqual(new Float32Array([1, 2, 3]));
    expect(faults).toEqual([]);
    expect(caller.pendingCount).toBe(0);
  });

  test('works over a port that leaves out what is undefined', async () => {
    const { caller, faults } = connect(cloneAsJson);
    expect(await caller.call('count', { to: 0 })).toBeUndefined();
    const { signal, abort } = controller();
    const waiting = settled(caller.call('wait', undefined, { signal }));
    await turns();
    abort();
    expect(await waiting).toMatchObject({ code: 'cancelled' });
    expect(faults).toEqual([]);
  });

  test.each([
    ['app', { code: 'context-overflow', message: 'Too long by 3 tokens.' }],
    ['error', { code: 'engine-failed', message: 'x is not a function' }],
    ['a string', { code: 'engine-failed', message: 'a string' }],
    ['bare', { code: 'engine-failed', message: 'Thrown: object.' }],
  ])('rejects with what the other side threw: %s', async (how, error) => {
    const { caller } = connect();
    expect(await settled(caller.call('fail', { how }))).toEqual(error);
  });

  test('is refused when its parameters or its name are wrong', async () => {
    const { caller, faults } = connect();
    const wrong = await settled(caller.call('add', { a: 1, b: 'two' } as never));
    expect(wrong).toMatchObject({ code: 'protocol', message: expect.stringContaining('b:') });
    for (const name of ['missing', 'toString', '__proto__', 'constructor'])
      expect(await settled(caller.call(name as never, undefined as never))).toMatchObject({ code: 'protocol' });
    expect(faults).toHaveLength(1);
    expect(caller.pendingCount).toBe(0);
  });

  test('rejects when the result has the wrong shape, and drops such progress', async () => {
    const { caller, faults } = connect(undefined, {
      add: () => 'five' as never,
      count: (_, { progress }) => progress('one' as never),
    });
    expect(await settled(caller.call('add', { a: 2, b: 3 }))).toMatchObject({ code: 'protocol' });
    const onProgress = vi.fn();
    await caller.call('count', { to: 1 }, { onProgress });
    expect(onProgress).not.toHaveBeenCalled();
    expect(faults).toHaveLength(2);
  });

  test('rejects when parameters or result cannot be cloned', async () => {
    const { caller, server } = connect(undefined, { add: () => (() => 5) as never });
    expect(await settled(caller.call('add', { a: (() => 1) as never, b: 1 }))).toMatchObject({ code: 'protocol' });
    expect(await settled(caller.call('add', { a: 1, b: 1 }))).toMatchObject({ code: 'protocol' });
    expect([caller.pendingCount, server.runningCount]).toEqual([0, 0]);
  });

  test('outlives a progress listener and a fault listener that throw', async () => {
    const { caller } = connect();
    const onProgress = () => {
      throw new Error('listener');
    };
    expect(await caller.call('count', { to: 2 }, { onProgress })).toBeUndefined();
  });
});

describe('cancelling', () => {
  test('rejects at once and aborts the other side', async () => {
    const { caller, server, aborted } = connect();
    const { signal, abort } = controller();
    const waiting = settled(caller.call('wait', undefined, { signal }));
    await turns();
    expect(server.runningCount).toBe(1);
    abort();
    expect(caller.pendingCount).toBe(0);
    expect(await waiting).toMatchObject({ code: 'cancelled' });
    await turns();
    expect(aborted).toHaveBeenCalledOnce();
    expect(server.runningCount).toBe(0);
  });

  test('before the call sends nothing', async () => {
    const { caller, server } = connect();
    expect(await settled(caller.call('wait', undefined, { signal: AbortSignal.abort() }))).toMatchObject({
      code: 'cancelled',
    });
    await turns();
    expect(server.heardCount).toBe(0);
  });

  test('after the end changes nothing', async () => {
    const { caller, faults } = connect();
    const { signal, abort } = controller();
    expect(await caller.call('add', { a: 1, b: 1 }, { signal })).toBe(2);
    abort();
    await turns();
    expect(await caller.call('add', { a: 1, b: 2 })).toBe(3);
    expect(faults).toEqual([]);
  });
});

describe('the end of the conversation', () => {
  test('rejects all that is pending and aborts all that runs, with the reason', async () => {
    const { caller, server, ports, aborted } = connect();
    const waiting = [1, 2, 3].map(() => settled(caller.call('wait', undefined)));
    await turns();
    expect(server.runningCount).toBe(3);
    const reason = new AppError('engine-died', 'The view was closed.');
    ports.cut(reason);
    const error = { code: 'engine-died', message: 'The view was closed.' };
    expect(await Promise.all(waiting)).toEqual([error, error, error]);
    expect(aborted).toHaveBeenCalledTimes(3);
    expect([caller.pendingCount, server.runningCount]).toEqual([0, 0]);
    expect(await settled(caller.call('add', { a: 1, b: 1 }))).toEqual(error);
    expect(await caller.closed).toBe(reason);
  });

  test('when the other side starts anew, what the old one still says goes nowhere', async () => {
    let finish = (_value: number) => {};
    const slow = new Promise<number>((resolve) => {
      finish = resolve;
    });
    const { caller, server, faults } = connect(undefined, { add: () => slow });
    const old = settled(caller.call('add', { a: 1, b: 1 }));
    await turns();
    server.reset(new AppError('engine-died', 'Reloaded.'));
    caller.reset(new AppError('engine-died', 'Reloaded.'));
    expect(await old).toEqual({ code: 'engine-died', message: 'Reloaded.' });
    finish(7);
    await turns();
    expect(await caller.call('floats', undefined)).toHaveLength(3);
    expect(faults).toEqual([]);
  });
});

test('an id that is still running is not served twice', async () => {
  const ports = createPortPair();
  const faults: string[] = [];
  const add = vi.fn(() => new Promise<number>(() => {}));
  const serves = { add: contract.add };
  new Peer({ port: ports.right, serves, calls: nothing, handlers: { add }, onFault: (fault) => faults.push(fault) });
  const frame = { kind: 'call', id: 7, method: 'add', params: { a: 1, b: 1 } };
  ports.left.post(frame);
  ports.left.post(frame);
  await turns();
  expect(add).toHaveBeenCalledOnce();
  expect(faults).toEqual(['Call 7 arrived twice; the second was dropped.']);
});

function controller() {
  const { signal, abort } = ((own) => ({ signal: own.signal, abort: () => own.abort() }))(new AbortController());
  return { signal, abort };
}

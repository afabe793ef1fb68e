import { expect, test } from 'vitest';
import { type CompletionRequest, CompletionSession } from '../../../src/completions/completion-session.ts';
import { AppError } from '../../../src/shared/app-error.ts';
import { ScriptedEngine } from './scripted-engine.ts';

const request = (prefix: string, overrides: Partial<CompletionRequest> = {}): CompletionRequest => ({
  document: 'file:///a.py',
  prefix,
  suffix: '\n',
  contextTokens: 256,
  isExplicit: true,
  ...overrides,
});

const text = (value: string) => ({ kind: 'text', text: value, replaces: 0 });
const none = (reason: string) => ({ kind: 'none', reason });

function open(answer?: ConstructorParameters<typeof ScriptedEngine>[0], budgetMs = 20) {
  const engine = new ScriptedEngine(answer);
  const late: unknown[] = [];
  let tellLate: (suggestion: unknown) => void = () => {};
  const nextLate = () => new Promise((resolve) => (tellLate = resolve));
  const session = new CompletionSession({
    engine,
    budgetMs,
    onLate: (suggestion) => {
      late.push(suggestion);
      tellLate(suggestion);
    },
  });
  return { engine, session, late, nextLate };
}

test('a quick model is answered with; what was healed is not part of it', async () => {
  const { engine, session, late } = open(({ heal }) => `${heal} None:`, 5000);
  expect(await session.provide(request('def f():\n    if x is'))).toEqual(text(' None:'));
  expect(engine.runs[0]?.request).toMatchObject({
    input: { kind: 'text', text: 'def f():\n    if x' },
    heal: ' is',
    priority: 'inline',
    details: false,
    sampling: { temperature: 0, stop: ['\n', '\r'] },
  });
  expect(late).toEqual([]);
});

test('a slow one settles with nothing, then tells when the text is there', async () => {
  const { engine, session, nextLate } = open();
  const [told, arriving] = [nextLate(), engine.nextRun()];
  expect(await session.provide(request('x = '))).toEqual(none('not there yet'));
  (await arriving).finish(' 1');
  expect(await told).toEqual(text('1'));
  expect(session.find(request('x = '))).toEqual(text('1'));
  expect(await session.provide(request('x = '))).toEqual(text('1'));
  expect(engine.runs.length).toBe(1);
});

test('an engine that never answers anything settles too', async () => {
  const session = new CompletionSession({
    engine: { call: () => new Promise<never>(() => {}) },
    onLate: () => {},
    budgetMs: 20,
  });
  expect(await session.provide(request('x = '))).toEqual(none('not there yet'));
});

test('typing what the model is writing keeps it, typing something else ends it', async () => {
  const { engine, session } = open();
  const arriving = engine.nextRun();
  await session.provide(request('x = '));
  const run = await arriving;
  run.write(' foo');
  await session.provide(request('x = fo'));
  expect(run.signal?.aborted).toBe(false);
  expect(engine.runs.length).toBe(1);
  const second = engine.nextRun();
  await session.provide(request('x = fa'));
  expect(run.signal?.aborted).toBe(true);
  expect((await second).request.heal).toBe(' fa');
});

test('the cursor elsewhere ends it, and says why there is nothing', async () => {
  const { engine, session, late } = open();
  const arriving = engine.nextRun();
  await session.provide(request('x = '));
  const run = await arriving;
  session.moved(request('x = '));
  expect(run.signal?.aborted).toBe(false);
  session.moved(request('x'));
  expect(run.signal?.aborted).toBe(true);
  await new Promise((resolve) => setTimeout(resolve));
  expect(late).toEqual([none('typing went on')]);
  expect(session.find(request('x = '))).toBeUndefined();
});

test('the editor asks no longer: it settles at once and the work goes on', async () => {
  const { engine, session } = open(undefined, 60_000);
  const [controller, arriving] = [new AbortController(), engine.nextRun()];
  const answer = session.provide(request('x = '), controller.signal);
  const run = await arriving;
  controller.abort();
  expect(await answer).toEqual(none('the editor no longer asks for it'));
  expect(run.signal?.aborted).toBe(false);
});

test('a failure is a reason, and is not remembered', async () => {
  const { engine, session } = open(undefined, 5000);
  const arriving = engine.nextRun();
  const answer = session.provide(request('x = '));
  (await arriving).fail(new AppError('engine-died', 'The worker ended. Run it again.'));
  expect(await answer).toEqual(none('The worker ended. Run it again.'));
  expect(session.find(request('x = '))).toBeUndefined();
});

test('a model that repeats itself is stopped', async () => {
  const { engine, session } = open(undefined, 5000);
  const arriving = engine.nextRun();
  const answer = session.provide(request('x = '));
  const run = await arriving;
  run.write(' foo bar foo bar foo bar foo bar foo bar foo bar');
  expect(run.signal?.aborted).toBe(true);
  expect(await answer).toEqual(none('the model repeats itself'));
});

test('inside a word the model is not asked while typing', async () => {
  const { engine, session } = open(() => '', 5000);
  const place = request('pri', { suffix: 'nt(x)\n', isExplicit: false });
  expect(await session.provide(place)).toEqual(none('the cursor is inside a word'));
  expect(engine.runs.length).toBe(0);
});

test('the suggestion fits the next line', async () => {
  const { session } = open(({ heal }) => `${heal}return None`, 5000);
  expect(await session.provide(request('    ', { suffix: '\n\n    return None\n' }))).toEqual(
    none('the next line says the same'),
  );
});

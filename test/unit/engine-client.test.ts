/** The engine client with a scripted page: starts, shared starts, failures, reloads, closing, silence. */
import { afterEach, describe, expect, test, vi } from 'vitest';
import { EngineClient, type EngineClientOptions } from '../../src/engine/engine-client.ts';
import { AppError } from '../../src/shared/app-error.ts';
import type { GenerateRequest, GenerateResult, ModelInfo } from '../../src/shared/engine-contract.ts';
import { type ModelView, modelHostContract, modelPageContract } from '../../src/shared/model-page-contract.ts';
import { type Handlers, Peer } from '../../src/shared/peer.ts';
import { cloneAsJson, createPortPair, type PortPair } from './support/port-pair.ts';

type PageHandlers = Handlers<typeof modelPageContract>;

const model: ModelInfo = {
  modelId: 'tiny',
  modelName: 'Tiny',
  kind: 'decoder',
  device: 'wasm',
  deviceReason: 'WebAssembly, one thread.',
  runtime: 'ort',
  runtimeReason: 'ONNX Runtime.',
  layers: 2,
  heads: 2,
  kvHeads: 1,
  headDim: 4,
  vocabSize: 10,
  contextLength: 64,
  weightsBytes: 1000,
  loadMs: 5,
  hasChatTemplate: true,
};

const encodeParams = { input: { kind: 'text', text: 'Hi' } } as const;
const encoded = { text: 'Hi', tokens: [], neutralised: [] };
const never = () => new Promise<never>(() => {});

/** A page that has started: what it was shown, and how to make it end. */
interface ScriptedPage {
  readonly ports: PortPair;
  readonly peer: Peer<typeof modelPageContract, typeof modelHostContract>;
  readonly shown: ModelView[];
  ready(): Promise<unknown>;
}

function setUp(script: Partial<PageHandlers> = {}, options: Partial<EngineClientOptions> = {}) {
  const pages: ScriptedPage[] = [];
  const loads = vi.fn();
  const lines: string[] = [];
  const log = (level: string) => (message: string) => void lines.push(`${level}: ${message}`);
  const openPage = async () => {
    const ports = createPortPair(cloneAsJson);
    client.attach(ports.left);
    const shown: ModelView[] = [];
    const handlers: PageHandlers = {
      encode: () => encoded,
      generate: never,
      score: never,
      inspect: never,
      attentionMap: never,
      attentionThumbnails: never,
      closeInspection: () => {},
      stats: never,
      load: (request, { progress }) => {
        loads(request);
        progress({ phase: 'fetch', done: 1, total: 2, message: 'Reading a file' });
        return model;
      },
      unload: () => {},
      show: (view) => void shown.push(view),
      ...script,
    } as PageHandlers;
    const peer = new Peer({ port: ports.right, serves: modelPageContract, calls: modelHostContract, handlers });
    const ready = () => peer.call('ready', undefined);
    pages.push({ ports, peer, shown, ready });
    await ready();
  };
  const client: EngineClient = new EngineClient({
    log: { debug: log('debug'), info: log('info'), warn: log('warn'), error: log('error') },
    openPage,
    describeLoad: async () => ({
      modelId: 'tiny',
      modelName: 'Tiny',
      files: [],
      device: 'auto',
      cacheLimitBytes: 1e6,
    }),
    configured: () => ({ name: 'Tiny', detail: '1 kB' }),
    onAction: vi.fn(),
    ...options,
  });
  const states: string[] = [];
  client.onDidChangeState((state) => states.push(state.kind));
  const page = () => pages.at(-1) as ScriptedPage;
  return { client, pages, page, loads, states, lines };
}

const settled = (work: Promise<unknown>) =>
  work.catch((error: AppError) => ({ code: error.code, message: error.message }));

afterEach(() => void vi.useRealTimers());

describe('starting', () => {
  test('is done by the first call, tells its progress, and is not done twice', async () => {
    const { client, pages, page, loads, states } = setUp();
    expect(client.state).toEqual({ kind: 'off' });
    expect(await client.call('encode', encodeParams)).toEqual(encoded);
    expect(await client.call('encode', encodeParams)).toEqual(encoded);
    expect([pages.length, loads.mock.calls.length]).toEqual([1, 1]);
    expect(states).toEqual(['loading', 'loading', 'loading', 'ready']);
    expect(client.state).toEqual({ kind: 'ready', model });
    await vi.waitFor(() => expect(page().shown.at(-1)?.state.kind).toBe('ready'));
    expect(page().shown.map(({ state }) => state.kind)).toContain('loading');
  });

  test('by two at once is shared', async () => {
    const { client, pages, loads } = setUp();
    const both = await Promise.all([client.start(), client.start(), client.call('encode', encodeParams)]);
    expect(both).toEqual([model, model, encoded]);
    expect([pages.length, loads.mock.calls.length]).toEqual([1, 1]);
  });

  test('goes on when one of those who wait gives up', async () => {
    const { client } = setUp();
    const impatient = new AbortController();
    const first = settled(client.start(impatient.signal));
    const second = client.start();
    impatient.abort();
    expect(await first).toMatchObject({ code: 'cancelled' });
    expect(await second).toEqual(model);
  });

  test('stopped by the user ends as off, and can be tried again', async () => {
    let isSlow = true;
    const aborted = vi.fn();
    const { client, states } = setUp({
      load: (_, { signal }) => {
        signal.addEventListener('abort', aborted);
        return isSlow ? never() : model;
      },
    });
    const start = settled(client.start());
    await vi.waitFor(() => expect(client.state).toMatchObject({ kind: 'loading' }));
    await new Promise((resolve) => setTimeout(resolve, 20));
    await client.stop();
    expect(await start).toMatchObject({ code: 'cancelled' });
    await vi.waitFor(() => expect(aborted).toHaveBeenCalledOnce());
    expect(states.at(-1)).toBe('off');
    isSlow = false;
    expect(await client.start()).toEqual(model);
  });

  test('that fails says why, and the next call starts afresh', async () => {
    let isBroken = true;
    const { client, lines } = setUp({
      load: () => {
        if (isBroken) throw new AppError('model-damaged', 'The model file a.onnx is missing.');
        return model;
      },
    });
    const error = { code: 'model-damaged', message: 'The model file a.onnx is missing.' };
    expect(await settled(client.call('encode', encodeParams))).toEqual(error);
    expect(client.state).toEqual({ kind: 'failed', error });
    expect(lines).toContainEqual(expect.stringContaining('a.onnx is missing'));
    isBroken = false;
    expect(await client.call('encode', encodeParams)).toEqual(encoded);
  });

  test('gives up on a view that does not open', async () => {
    const { client } = setUp({}, { openPage: async () => {}, openTimeoutMs: 30 });
    expect(await settled(client.start())).toMatchObject({
      code: 'engine-died',
      message: expect.stringContaining('did not open'),
    });
    expect(client.state.kind).toBe('failed');
  });

  test('fails when there is nothing to load', async () => {
    const describeLoad = () => Promise.reject(new AppError('no-model', 'There is no model "x".'));
    const { client } = setUp({}, { describeLoad });
    expect(await settled(client.start())).toEqual({ code: 'no-model', message: 'There is no model "x".' });
  });
});

describe('in the middle of a call', () => {
  const ends = [
    {
      name: 'the worker dies',
      state: 'failed',
      code: 'engine-died',
      end: ({ peer }: ScriptedPage, reject: (error: AppError) => void) => {
        const error = new AppError('engine-died', 'The engine worker ended.');
        void peer.call('engineDied', { code: error.code, message: error.message });
        reject(error);
      },
    },
    {
      name: 'the view is closed',
      state: 'off',
      code: 'engine-died',
      end: ({ ports }: ScriptedPage) => ports.cut(new AppError('engine-died', 'The view was closed.')),
    },
    {
      name: 'the page is reloaded',
      state: 'off',
      code: 'engine-died',
      end: ({ ready }: ScriptedPage) => void ready(),
    },
    {
      name: 'the page goes silent',
      state: 'off',
      code: 'engine-died',
      end: ({ ports, peer }: ScriptedPage) => {
        peer.close();
        ports.silence();
      },
    },
  ];

  test.each(ends)('$name: it is rejected, and the next call starts afresh', async ({ end, state, code }) => {
    let reject = (_error: AppError) => {};
    const generate = () => new Promise<never>((_, rejectCall) => (reject = rejectCall));
    const { client, page, loads } = setUp({ generate }, { patience: { tickMs: 10, silentTicks: 4 } });
    await client.start();
    const pending = settled(client.call('generate', request));
    await new Promise((resolve) => setTimeout(resolve, 20));
    end(page(), reject);
    expect(await pending).toMatchObject({ code });
    await vi.waitFor(() => expect(client.state.kind).toBe(state));
    expect(await client.call('encode', encodeParams)).toEqual(encoded);
    expect(loads).toHaveBeenCalledTimes(2);
  });

  test('a long silence of a page that answers pings ends nothing', async () => {
    let finish = (_: GenerateResult) => {};
    const generate = () => new Promise<GenerateResult>((resolve) => (finish = resolve));
    const { client } = setUp({ generate }, { patience: { tickMs: 5, silentTicks: 3 } });
    const onGenerate = vi.fn();
    client.onDidGenerate(onGenerate);
    const pending = client.call('generate', request);
    await new Promise((resolve) => setTimeout(resolve, 120));
    finish(answer);
    expect(await pending).toEqual(answer);
    expect(onGenerate).toHaveBeenCalledWith(answer);
  });
});

test('a dead worker is known as failed also when nobody waited', async () => {
  const { client, page } = setUp();
  await client.start();
  await page().peer.call('engineDied', { code: 'engine-died', message: 'Gone.' });
  expect(client.state).toEqual({ kind: 'failed', error: { code: 'engine-died', message: 'Gone.' } });
});

test('restart unloads, loads again and leaves the page', async () => {
  const unload = vi.fn();
  const { client, pages, loads, states } = setUp({ unload });
  await client.start();
  await client.restart();
  expect([pages.length, loads.mock.calls.length, unload.mock.calls.length]).toEqual([1, 2, 1]);
  expect(states.filter((kind) => kind !== 'loading')).toEqual(['ready', 'off', 'ready']);
});

test('the buttons of the view start, stop and restart; the others go to the extension', async () => {
  const onAction = vi.fn();
  const { client, page } = setUp({}, { onAction });
  await client.start();
  const act = (action: 'load' | 'stop' | 'restart' | 'showLog') => page().peer.call('act', { action });
  await act('stop');
  await vi.waitFor(() => expect(client.state.kind).toBe('off'));
  await act('load');
  await vi.waitFor(() => expect(client.state.kind).toBe('ready'));
  await act('showLog');
  expect(onAction).toHaveBeenCalledWith('showLog');
});

test('after dispose nothing starts and nothing waits', async () => {
  const { client } = setUp();
  await client.start();
  const pending = settled(client.call('generate', request));
  await new Promise((resolve) => setTimeout(resolve, 10));
  client.dispose();
  expect(await pending).toMatchObject({ code: 'engine-died' });
  expect(await settled(client.start())).toMatchObject({ code: 'engine-died' });
});

const request: GenerateRequest = {
  ...encodeParams,
  sampling: {
    temperature: 0,
    topK: 0,
    topP: 1,
    minP: 0,
    repetitionPenalty: 1,
    frequencyPenalty: 0,
    presencePenalty: 0,
    maxTokens: 4,
    stop: [],
  },
  priority: 'interactive',
  overflow: 'refuse',
  details: false,
};

const answer: GenerateResult = {
  text: 'Hello',
  finish: 'end',
  seed: 1,
  promptTokens: 2,
  cutTokens: 0,
  reusedTokens: 0,
  computedTokens: 2,
  generatedTokens: 1,
  queuedMs: 0,
  prefillMs: 1,
  firstTokenMs: 1,
  decodeMs: 1,
  neutralised: [],
};

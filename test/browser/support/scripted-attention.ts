/** A controller of the Attention panel that answers by script, and the stage on which its page stands. No model. */
import type { Browser } from 'playwright-core';
import manifest from '../../../package.json' with { type: 'json' };
import { AppError } from '../../../src/shared/app-error.ts';
import {
  attentionHostContract,
  attentionPageContract,
  type PanelState,
  type ShownState,
} from '../../../src/shared/attention-contract.ts';
import type { Handlers } from '../../../src/shared/peer.ts';
import { openStage, type Stage, type ThemeName } from './page-stage.ts';

type Host = typeof attentionHostContract;

export interface ScriptedAttention extends Stage<Host, typeof attentionPageContract> {
  /** What the page asked for, in order. */
  readonly calls: { readonly method: string; readonly params: unknown }[];
  send(state: PanelState): Promise<void>;
}

export interface AttentionOptions {
  readonly first: PanelState;
  readonly map?: Handlers<Host>['map'];
  readonly thumbnails?: Handlers<Host>['thumbnails'];
  readonly testHead?: Handlers<Host>['testHead'];
  readonly theme?: ThemeName;
  readonly size?: { readonly width: number; readonly height: number };
}

export async function openAttention(browser: Browser, options: AttentionOptions): Promise<ScriptedAttention> {
  const { first, size = { width: 300, height: 900 }, theme = 'dark' } = options;
  const calls: { method: string; params: unknown }[] = [];
  const record = <A extends unknown[], R>(method: string, answer: (...args: A) => R) => {
    return (...args: A) => {
      calls.push({ method, params: args[0] });
      return answer(...args);
    };
  };
  const order = (method: string) => record(method, (_params: undefined) => undefined);
  const tokens = first.kind === 'shown' ? first.tokens.length : 1;
  let state = first;
  const send = async (next: PanelState) => {
    state = next;
    await stage.host.call('state', next);
  };
  const stage: Stage<Host, typeof attentionPageContract> = await openStage(browser, {
    name: 'attention',
    serves: attentionHostContract,
    calls: attentionPageContract,
    theme,
    size,
    handlers: {
      ready: () => state,
      inspectSelection: order('inspectSelection'),
      inspectFirst: order('inspectFirst'),
      retry: order('retry'),
      cancel: order('cancel'),
      openSettings: order('openSettings'),
      clearShading: order('clearShading'),
      shade: record('shade', () => undefined),
      testHead: record(
        'testHead',
        options.testHead ?? (() => Promise.reject(new AppError('bad-input', 'No test is scripted.'))),
      ),
      choose: record('choose', ({ layer, head }) => {
        if (state.kind === 'shown') void send({ ...state, layer, head }).catch(() => {}); // closed meanwhile
        return undefined;
      }),
      chooseStack: record('chooseStack', ({ stack }) => {
        if (state.kind === 'shown') void send({ ...state, stack, ...shapeOf(state, stack) }).catch(() => {});
        return undefined;
      }),
      picture: record('picture', () => ({ pixels: samplePixels(state) })),
      map: record('map', options.map ?? (() => ({ weights: sampleMap(tokens), tokens }))),
      thumbnails: record('thumbnails', options.thumbnails ?? (({ layers }) => emptyThumbnails(layers.length * 6))),
    },
  });
  await stage.page.addStyleTag({ content: contributedColors(theme) });
  await stage.page.locator('main[data-state]').waitFor({ state: 'attached' });
  return { ...stage, calls, send };
}

/** VS Code turns the colours that an extension contributes into variables; the stage's themes were taken without ours. */
function contributedColors(theme: ThemeName): string {
  const kinds = {
    dark: 'dark',
    light: 'light',
    'high-contrast': 'highContrast',
    'high-contrast-light': 'highContrastLight',
  } as const;
  const colors = manifest.contributes.colors.map(
    ({ id, defaults }) => `--vscode-${id.replaceAll('.', '-')}: ${defaults[kinds[theme]]}`,
  );
  return `:root { ${colors.join('; ')} } body { background: var(--vscode-sideBar-background) }`;
}

function shapeOf({ stacks }: ShownState, stack: number) {
  const { layers, heads, kvHeads } = stacks[stack]!;
  return { layers, heads, kvHeads };
}

/** A colour that goes from one corner to the other. */
function samplePixels(state: PanelState): Uint8Array<ArrayBuffer> {
  const { width, height } = (state.kind === 'shown' && state.picture) || { width: 1, height: 1 };
  const pixels = new Uint8Array(width * height * 4).fill(255);
  for (let i = 0; i < width * height; i++)
    pixels.set([(255 * (i % width)) / width, (255 * Math.floor(i / width)) / height, 128], i * 4);
  return pixels;
}

function emptyThumbnails(pictures: number): { pixels: Uint8Array<ArrayBuffer>; size: number } {
  return { pixels: new Uint8Array(pictures * 4), size: 2 };
}

/** A map in which every weight is told by its place: row q gives key k the share (k + 1) of 1 + 2 + ... + (q + 1). */
export function sampleMap(tokens: number): Float32Array<ArrayBuffer> {
  const weights = new Float32Array(tokens * tokens);
  for (let query = 0; query < tokens; query++)
    for (let key = 0; key <= query; key++)
      weights[query * tokens + key] = (key + 1) / (((query + 1) * (query + 2)) / 2);
  return weights;
}

export function shownState(labels: readonly string[], change: Partial<ShownState> = {}): ShownState {
  let start = 0;
  const tokens = labels.map((label) => {
    const token = { label, start, end: start + label.length, isSpecial: label.startsWith('<|'), isLineEnd: false };
    start = token.end;
    return token;
  });
  return {
    kind: 'shown',
    inspectionId: 1,
    title: 'sample.py, line 1',
    tokens,
    stacks: [{ name: 'decoder', isCausal: true, layers: 4, heads: 6, kvHeads: 2, queries: 'source', keys: 'source' }],
    stack: 0,
    layers: 4,
    heads: 6,
    kvHeads: 2,
    runMs: 12,
    layer: 0,
    head: 0,
    document: 'live',
    notes: [],
    ...change,
  };
}

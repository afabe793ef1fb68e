/**
 * One of our pages in a headless Chromium, with its real bundle, style sheets and Content-Security-Policy, VS Code's
 * own theme variables, and a scripted controller in this process. Needs a built `dist/`.
 */
import { fileURLToPath } from 'node:url';
import { type Browser, chromium, type Page } from 'playwright-core';
import { startStaticServer } from '../../../scripts/browser-engine/static-server.mjs';
import { chromiumArguments, ensureChromium } from '../../../scripts/vscode-host/chromium.mjs';
import { renderPageHtml } from '../../../src/platform/page-html.ts';
import { type Contract, type Handlers, Peer, type Port } from '../../../src/shared/peer.ts';
import themeFixture from '../../fixtures/themes.json' with { type: 'json' };

const root = fileURLToPath(new URL('../../..', import.meta.url));

export type ThemeName = keyof typeof themeFixture.themes;

export interface StageOptions<Serves extends Contract, Calls extends Contract> {
  readonly name: 'model' | 'playground' | 'attention';
  readonly serves: Serves;
  readonly calls: Calls;
  readonly handlers: Handlers<Serves>;
  readonly theme?: ThemeName;
  readonly size?: { readonly width: number; readonly height: number };
}

export interface Stage<Serves extends Contract, Calls extends Contract> {
  readonly page: Page;
  readonly host: Peer<Serves, Calls>;
  /** What the page and the contract complained of; a good test ends with none. */
  readonly faults: string[];
  /** Loads the page anew, as a reload of the window does: what it kept with `setState` is there. */
  reload(): Promise<void>;
  setTheme(theme: ThemeName): Promise<void>;
  close(): Promise<void>;
}

export async function launchBrowser(): Promise<Browser> {
  return chromium.launch({ executablePath: await ensureChromium(), args: chromiumArguments });
}

export async function openStage<Serves extends Contract, Calls extends Contract>(
  browser: Browser,
  options: StageOptions<Serves, Calls>,
): Promise<Stage<Serves, Calls>> {
  const { name, serves, calls, handlers, theme = 'dark', size = { width: 1200, height: 800 } } = options;
  const pages = new Map<string, string>([['/favicon.ico', '']]);
  const folders = { dist: `${root}dist`, media: `${root}media` };
  const server = await startStaticServer({ folders, pages });
  const address = (...path: string[]) => `${server.origin}/${path.join('/')}`;
  const lay = (next: ThemeName) => {
    const { bodyClass, style } = themeFixture.themes[next];
    const html = renderPageHtml({ cspSource: server.origin, address, page: name, title: name })
      .replace('<html', `<html style="${style.replaceAll('"', '&quot;')}"`)
      .replace('<head>', `<head><style>${themeFixture.defaultStyle}</style>`)
      .replace('<body', `<body class="${bodyClass}"`);
    pages.set('/page.html', html);
  };
  lay(theme);

  const context = await browser.newContext({ viewport: size });
  const page = await context.newPage();
  const faults: string[] = [];
  page.on('pageerror', (error) => faults.push(String(error)));
  page.on('console', (message) => {
    if (message.type() === 'error') faults.push(message.text());
  });

  let receive: ((message: unknown) => void) | undefined;
  await page.exposeBinding('toHost', (_source, json: string) => receive?.(JSON.parse(json)));
  await page.addInitScript(() => {
    const unpackArrays = (_key: string, value: PackedArray | null) => {
      if (!value?.$array) return value;
      const bytes = Uint8Array.from(atob(value.base64), (character) => character.charCodeAt(0));
      return value.$array === 'Float32Array' ? new Float32Array(bytes.buffer) : bytes;
    };
    Object.assign(globalThis, {
      fromHost: (json: string) => window.postMessage(JSON.parse(json, unpackArrays), '*'),
      acquireVsCodeApi: () => ({
        // VS Code carries messages as JSON, with typed arrays beside it.
        postMessage: (message: unknown) => (globalThis as never as Bridge).toHost(JSON.stringify(message)),
        getState: () => JSON.parse(sessionStorage.getItem('state') ?? 'null') ?? undefined,
        setState: (state: unknown) => sessionStorage.setItem('state', JSON.stringify(state)),
      }),
    });
  });

  let sent: Promise<unknown> = Promise.resolve();
  const port: Port = {
    post: (message) => {
      const json = JSON.stringify(message, packArrays);
      const send = () => page.evaluate((text) => (globalThis as never as Bridge).fromHost(text), json);
      sent = sent.then(send).catch(() => {}); // the page is being reloaded
    },
    listen: (onMessage) => {
      receive = onMessage;
    },
    close: () => {},
  };
  const host = new Peer({ port, serves, calls, handlers, onFault: (fault) => faults.push(fault) });
  await page.goto(`${server.origin}/page.html`);

  return {
    page,
    host,
    faults,
    reload: async () => {
      await page.reload();
    },
    setTheme: async (next) => {
      const { bodyClass, style } = themeFixture.themes[next];
      await page.evaluate(
        ([newClass, newStyle]) => {
          document.documentElement.setAttribute('style', newStyle);
          document.body.className = newClass;
        },
        [bodyClass, style] as const,
      );
      lay(next);
    },
    close: async () => {
      host.close();
      await context.close();
      await server.close();
    },
  };
}

interface Bridge {
  toHost(json: string): void;
  fromHost(json: string): void;
}

interface PackedArray {
  readonly $array?: string;
  readonly base64: string;
}

function packArrays(_key: string, value: unknown): unknown {
  if (!(value instanceof Float32Array || value instanceof Uint8Array)) return value;
  const base64 = Buffer.from(value.buffer, value.byteOffset, value.byteLength).toString('base64');
  return { $array: value.constructor.name, base64 } satisfies PackedArray;
}

/**
 * A real VS Code (code-server in Chromium) with the extension in it, for tests, pictures and `npm start`.
 *
 *     const host = await openHost({ theme: 'light', size: { width: 1200, height: 800 } });
 *     await host.run('glasshead.openPlayground');                       // a command, with its result
 *     const page = await host.webview('glasshead.playground');          // a Playwright Frame: page.locator('button')
 *     const text = await host.evaluate((vscode, name) => vscode.workspace.textDocuments.length, 'any JSON');
 *     await host.page.keyboard.type('hello');                           // the Playwright Page of the window
 *     await host.page.screenshot({ path: '/tmp/playground.png' });
 *     await host.close();
 *
 * A function given to `evaluate` runs in the extension host: it sees its parameters and `require`, nothing of the test
 * around it; it may return a promise; argument and result are JSON. Its third parameter sends events to `onEvent`.
 *
 * How to write a host test: one `openHost` for each file in `beforeAll`, `close` in `afterAll`; each test begins with
 * `await host.reset()`, which closes all editors and notifications. A start takes seconds, a model load more.
 */
import path from 'node:path';
import { chromium } from 'playwright-core';
import { chromiumArguments, ensureChromium } from './chromium.mjs';
import { openService, themes } from './service.mjs';
import { keepSignals } from './window.mjs';

/** @typedef {typeof import('vscode')} VSCode */

/**
 * @typedef {object} WindowOptions
 * @property {{width: number, height: number}} [size] of the window; default: 1280 x 800
 */

/**
 * @param {import('./service.mjs').ServiceOptions & WindowOptions} [options]
 * @returns {Promise<Host>}
 */
export async function openHost(options = {}) {
  const { report = () => {}, size = { width: 1280, height: 800 } } = options;
  const executablePath = await ensureChromium(report);
  const service = await openService(options);
  try {
    report('window');
    const browser = await chromium.launch({ executablePath, args: chromiumArguments, headless: true, ...keepSignals });
    service.onClose(() => browser.close());
    const context = await browser.newContext({ viewport: size });
    const host = new Host(service, await context.newPage());
    host.page.setDefaultNavigationTimeout(120_000); // the first page of a cold machine is slow
    await host.page.goto(service.url);
    await host.ready();
    return host;
  } catch (error) {
    await service.close();
    throw error;
  }
}

/** A window of VS Code. */
export class Host {
  /** The window, with the Playwright API. @type {import('playwright-core').Page} */
  page;
  /** The copy of the workspace that is open. @type {string} */
  workspace;
  /** A temporary folder that `close` deletes. @type {string} */
  directory;
  /** @type {import('./service.mjs').Service} */
  #service;

  /**
   * @param {import('./service.mjs').Service} service
   * @param {import('playwright-core').Page} page
   */
  constructor(service, page) {
    this.page = page;
    this.workspace = service.workspace;
    this.directory = service.directory;
    this.#service = service;
  }

  /** What the VS Code server printed last, for a failure that the window does not explain. */
  get log() {
    return this.#service.log();
  }

  /** Resolves when the window is drawn and the extension host runs. */
  async ready() {
    await this.page.locator('.monaco-workbench .part.editor').waitFor({ timeout: 120_000 });
    await this.#service.link.connected();
  }

  /**
   * Runs a function in the extension host.
   *
   * @template [A=undefined]
   * @template [R=unknown]
   * @param {(vscode: VSCode, argument: A, emit: (event: any) => void) => R | PromiseLike<R>} run
   * @param {A} [argument]
   * @param {(event: any) => void} [onEvent]
   * @returns {Promise<R>}
   */
  evaluate(run, argument, onEvent) {
    return this.#service.link.evaluate(run.toString(), argument, onEvent);
  }

  /**
   * Executes a command; the result is what of it is JSON.
   *
   * @param {string} command
   * @param {...unknown} args JSON
   * @returns {Promise<any>}
   */
  run(command, ...args) {
    return this.evaluate((vscode, request) => vscode.commands.executeCommand(request.command, ...request.args), {
      command,
      args,
    });
  }

  /**
   * Opens a file of the workspace in an editor, with a selection when one is given (zero-based lines and columns).
   *
   * @param {string} file relative to the workspace
   * @param {[number, number, number, number]} [selection] start line, start column, end line, end column
   */
  async open(file, selection) {
    await this.evaluate(
      async (vscode, request) => {
        const editor = await vscode.window.showTextDocument(vscode.Uri.file(request.file), { preview: false });
        if (!request.selection) return;
        const range = new vscode.Range(...request.selection);
        editor.selection = new vscode.Selection(range.start, range.end);
        editor.revealRange(range);
      },
      { file: path.join(this.workspace, file), selection },
    );
  }

  /**
   * The frame of a webview of ours, once it is there: `name` is the page ("model", "glasshead.model") or the document's
   * title. The newest, when there are several.
   *
   * @param {string} name
   * @param {{timeoutMs?: number}} [options]
   * @returns {Promise<import('playwright-core').Frame>}
   */
  async webview(name, { timeoutMs = 30_000 } = {}) {
    for (const deadline = Date.now() + timeoutMs; ; ) {
      const frames = await this.webviews();
      const found = frames.findLast((one) => one.title === name || one.page === name.replace(/^glasshead\./, ''));
      if (found) return found.frame;
      if (Date.now() > deadline) {
        const seen = frames.map((one) => `${one.page} "${one.title}"`).join(', ') || 'none';
        throw new Error(`There is no webview "${name}". There are: ${seen}.`);
      }
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
  }

  /** @returns {Promise<{frame: import('playwright-core').Frame, title: string, page: string}[]>} all that show a page */
  async webviews() {
    const frames = this.page.frames().filter((frame) => frame.url().includes('fake.html'));
    const described = frames.map(async (frame) => {
      const about = await frame
        .evaluate(() => ({
          title: document.title,
          page: document.querySelector('script[src*="/dist/webview/"]')?.getAttribute('src') ?? '',
        }))
        .catch(() => undefined); // it went away meanwhile
      return about ? [{ frame, title: about.title, page: path.basename(about.page, '.js') }] : [];
    });
    return (await Promise.all(described)).flat();
  }

  /** @param {import('./service.mjs').Theme} theme */
  async setTheme(theme) {
    await this.setSetting('workbench.colorTheme', themes[theme]);
    const kind = { dark: 'vs-dark', light: 'vs', 'hc-dark': 'hc-black', 'hc-light': 'hc-light' }[theme];
    await this.page.locator(`.monaco-workbench.${kind}`).waitFor();
  }

  /**
   * @param {string} name such as "glasshead.device"
   * @param {unknown} value JSON; undefined goes back to the default
   */
  async setSetting(name, value) {
    await this.evaluate(
      async (vscode, setting) =>
        vscode.workspace.getConfiguration().update(setting.name, setting.value, vscode.ConfigurationTarget.Global),
      { name, value },
    );
  }

  /** The texts of the notifications that are shown. */
  async notifications() {
    return this.page.locator('.notifications-toasts .notification-list-item-message').allInnerTexts();
  }

  /** Closes all editors, without saving, and all notifications, and leaves quick inputs and menus. */
  async reset() {
    for (let i = 0; i < 2; i++) await this.page.keyboard.press('Escape');
    await this.run('notifications.clearAll');
    await this.evaluate(async (vscode) => {
      // A dirty document would ask; reverted it does not.
      for (const { tabs } of vscode.window.tabGroups.all)
        for (const tab of tabs) {
          const input = tab.input;
          if (tab.isDirty && input instanceof vscode.TabInputText) {
            await vscode.window.showTextDocument(input.uri);
            await vscode.commands.executeCommand('workbench.action.revertAndCloseActiveEditor');
          }
        }
      await vscode.commands.executeCommand('workbench.action.closeAllEditors');
    });
  }

  /** Reloads the window, as the user's "Developer: Reload Window": a new extension host, all pages new. */
  async reload() {
    const connected = this.#service.link.connected(true);
    await this.page.reload();
    await connected;
    await this.ready();
  }

  async close() {
    await this.#service.close();
  }
}

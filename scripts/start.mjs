/**
 * `npm start`: installs what is missing, builds, and opens a real VS Code with Glasshead on a sample workspace.
 *
 *     npm start                                   the walkthrough, with the model loading
 *     npm start -- FOLDER                         on a folder of yours, as it is
 *     npm start -- --open playground              or attention, model, walkthrough
 *     npm start -- --prompt "Why is the sky blue?"     runs it headless, prints the answer, ends
 *     npm start -- --screenshot FILE.png          opens headless, waits until the model is ready, takes a picture, ends
 *   --theme dark|light|hc-dark|hc-light   --width N   --height N   --browser (not the installed desktop VS Code)
 */
import { parseArgs } from 'node:util';
import { withProgress } from './progress.mjs';
import { build, ensureBrowserVscode, ensurePackages, ensureVscodeServer, runMain } from './setup.mjs';
import { findDesktop, hasDisplay, openDesktop } from './vscode-host/desktop.mjs';

// The same address each time, so that the browser finds again what it stored.
const preferredPort = 7370;
const themeNames = ['dark', 'light', 'hc-dark', 'hc-light'];

/** @typedef {(vscode: typeof import('vscode')) => Promise<void>} Show runs in the extension host */

/** What is put in view. */
const surfaces = {
  /** @param {typeof import('vscode')} vscode */
  walkthrough: async (vscode) => {
    const category = { category: 'glasshead.glasshead#glasshead.start' };
    await vscode.commands.executeCommand('workbench.action.openWalkthrough', category, false);
  },
  /** @param {typeof import('vscode')} vscode */
  playground: async (vscode) => {
    await vscode.commands.executeCommand('glasshead.openPlayground');
  },
  /** @param {typeof import('vscode')} vscode */
  attention: async (vscode) => {
    const [file] = await vscode.workspace.findFiles('**/letter.md');
    if (file) {
      const editor = await vscode.window.showTextDocument(file);
      const sentence = /The trophy[^.]*\./.exec(editor.document.getText());
      const [start, end] = sentence ? [sentence.index, sentence.index + sentence[0].length] : [0, 200];
      editor.selection = new vscode.Selection(editor.document.positionAt(start), editor.document.positionAt(end));
    }
    await vscode.commands.executeCommand('glasshead.inspectSelection');
  },
  /** @param {typeof import('vscode')} vscode */
  model: async (vscode) => {
    await vscode.commands.executeCommand('glasshead.showModel');
  },
};

runMain(async () => {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      prompt: { type: 'string' },
      screenshot: { type: 'string' },
      open: { type: 'string', default: 'walkthrough' },
      theme: { type: 'string', default: 'dark' },
      width: { type: 'string', default: '1280' },
      height: { type: 'string', default: '800' },
      browser: { type: 'boolean', default: false },
    },
  });
  const theme = /** @type {import('./vscode-host/service.mjs').Theme} */ (oneOf('--theme', values.theme, themeNames));
  const surface = oneOf('--open', values.open, Object.keys(surfaces));
  const show = surfaces[/** @type {keyof typeof surfaces} */ (surface)];
  if (values.prompt?.trim() === '') throw new Error('--prompt is empty: say what the model should do.');
  const folder = positionals[0];
  const size = { width: toSize('--width', values.width), height: toSize('--height', values.height) };

  await ensurePackages();
  const isHeadless = values.prompt !== undefined || values.screenshot !== undefined;
  const desktop = values.browser || isHeadless ? undefined : findDesktop();
  // Where there is nothing to show a window on, a browser of ours is of no use either.
  if (!desktop) await (isHeadless || hasDisplay() ? ensureBrowserVscode() : ensureVscodeServer());
  await build();
  if (values.prompt !== undefined) return runPrompt(values.prompt, folder);
  if (values.screenshot !== undefined) return takeScreenshot({ file: values.screenshot, show, theme, size, folder });
  return desktop ? showDesktop(desktop, { show, theme, folder }) : showBrowser({ show, theme, folder });
});

/**
 * @param {string} option
 * @param {string} value
 * @param {string[]} allowed
 */
function oneOf(option, value, allowed) {
  if (!allowed.includes(value)) throw new Error(`${option} is one of ${allowed.join(', ')}, not "${value}".`);
  return value;
}

/**
 * @param {string} option
 * @param {string} value
 */
function toSize(option, value) {
  const pixels = Number(value);
  if (!Number.isInteger(pixels) || pixels < 200 || pixels > 10_000)
    throw new Error(`${option} is a number of pixels from 200 to 10000, not "${value}".`);
  return pixels;
}

/**
 * Resolves at Ctrl-C, at an end from outside, or when `closed` does.
 *
 * @param {Promise<void>} [closed]
 * @returns {Promise<void>}
 */
function ended(closed = new Promise(() => {})) {
  const signals = /** @type {const} */ (['SIGINT', 'SIGTERM', 'SIGHUP']);
  const caught = signals.map((name) => new Promise((resolve) => process.once(name, () => resolve(undefined))));
  return Promise.race([closed, ...caught]);
}

/**
 * Puts the surface in view in each window that connects: also after a reload nothing is lost, since VS Code restores.
 *
 * @param {import('./vscode-host/driver-link.mjs').DriverLink} link
 * @param {Show} show
 */
async function greet(link, show) {
  await link.connected();
  await link.evaluate(show.toString(), undefined);
  await link.evaluate(startEngine.toString(), undefined);
}

/** Runs in the extension host; resolves when the model is there. @param {typeof import('vscode')} vscode */
async function startEngine(vscode) {
  await vscode.commands.executeCommand('glasshead.loadModel');
}

/**
 * @param {string} command
 * @param {{show: Show, theme: import('./vscode-host/service.mjs').Theme, folder: string | undefined}} options
 */
async function showDesktop(command, { show, theme, folder }) {
  const window = await openDesktop(command, { theme, folder });
  console.log(`VS Code is opening (${command}). Close its window or press Ctrl-C to end.`);
  const end = ended(window.closed);
  greet(window.link, show).catch((error) => console.error(error.message));
  await end;
  await window.close();
  return 0;
}

/** @param {{show: Show, theme: import('./vscode-host/service.mjs').Theme, folder: string | undefined}} options */
async function showBrowser({ show, theme, folder }) {
  const { openService } = await import('./vscode-host/service.mjs');
  const service = await withProgress('Starting VS Code', (report) =>
    openService({ theme, preferredPort, report, ...(folder ? { folder } : {}) }),
  );
  const end = ended();
  try {
    greet(service.link, show).catch((error) => console.error(error.message));
    console.log(`\n  VS Code with Glasshead: ${service.url}\n`);
    if (!hasDisplay()) {
      console.log('There is no display here: open the address in a browser on this machine. Ctrl-C ends.');
      await end;
      return 0;
    }
    console.log('Close the window or press Ctrl-C to end.');
    const { openWindow } = await import('./vscode-host/window.mjs');
    const window = await openWindow(service.url);
    await Promise.race([end, window.closed]);
    await window.close();
    return 0;
  } finally {
    await service.close();
  }
}

/**
 * @param {{file: string, show: Show, theme: import('./vscode-host/service.mjs').Theme,
 *   size: {width: number, height: number}, folder: string | undefined}} options
 */
async function takeScreenshot({ file, show, theme, size, folder }) {
  const { openHost } = await import('./vscode-host/host.mjs');
  const end = ended();
  const host = await withProgress('Starting VS Code', (report) =>
    openHost({ theme, size, report, ...(folder ? { folder } : {}) }),
  );
  const take = async () => {
    // A picture of a failure is worth having, too.
    const limit = new Promise((resolve) => setTimeout(resolve, 120_000).unref());
    await withProgress('Loading the model', () => Promise.race([host.evaluate(startEngine), limit]));
    await withProgress('Opening', () => host.evaluate(show));
    await new Promise((resolve) => setTimeout(resolve, 3000)); // pages draw after their command has returned
    await host.page.screenshot({ path: file });
    console.log(file);
    return 0;
  };
  try {
    return await Promise.race([take(), end.then(() => 130)]);
  } finally {
    await host.close();
  }
}

/**
 * @param {string} prompt
 * @param {string} [folder]
 */
async function runPrompt(prompt, folder) {
  const { openHost } = await import('./vscode-host/host.mjs');
  const end = ended();
  const host = await withProgress('Starting VS Code', (report) => openHost({ report, ...(folder ? { folder } : {}) }));
  try {
    let printed = '';
    let onFirstText = () => {};
    const firstText = new Promise((resolve) => {
      onFirstText = () => resolve(undefined);
    });
    /** @param {string} text the answer so far */
    const print = (text) => {
      if (!text.startsWith(printed)) return;
      onFirstText();
      process.stdout.write(text.slice(printed.length));
      printed = text;
    };
    const run = host.evaluate(runAndWatch, prompt, print);
    // Only until the answer begins: on a terminal the two would write over each other.
    await withProgress('Running the prompt', async (report) => {
      const timer = setInterval(async () => {
        const [message] = await host.notifications().catch(() => []);
        if (message) report(message.replace(/^Glasshead: /, '').replace(/\s+/g, ' '));
      }, 500);
      await Promise.race([firstText, run, end]).finally(() => clearInterval(timer));
    });
    const answer = await Promise.race([run, end]);
    if (answer === undefined) return 130;
    if (answer.trim() === '') throw new Error('The model gave no answer. Try other words.');
    print(answer);
    if (!printed.endsWith('\n')) process.stdout.write('\n');
    if (!printed.startsWith(answer)) throw new Error('What was streamed is not the answer that the command returned.');
    return 0;
  } finally {
    await host.close();
  }
}

/**
 * Runs in the extension host: the prompt, while the text of the editor that the answer streams into is sent.
 *
 * @param {typeof import('vscode')} vscode
 * @param {string} prompt
 * @param {(text: string) => void} emit
 */
async function runAndWatch(vscode, prompt, emit) {
  const watch = vscode.workspace.onDidChangeTextDocument(({ document }) => {
    if (document.isUntitled) emit(document.getText());
  });
  try {
    const answer = await vscode.commands.executeCommand('glasshead.runPrompt', { prompt });
    if (typeof answer !== 'string') throw new Error('The prompt was not run.');
    return answer;
  } finally {
    watch.dispose();
  }
}

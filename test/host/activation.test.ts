/** The extension in a real VS Code: it activates, contributes what it says, and starts no engine by itself. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import manifest from '../../package.json' with { type: 'json' };
import { type Host, openHost } from '../../scripts/vscode-host/host.mjs';

const extensionId = `${manifest.publisher}.${manifest.name}`;

let host: Host;

beforeAll(async () => {
  // High enough for the whole list of running extensions: a row out of view does not exist, and a quick one is last.
  host = await openHost({ theme: 'light', size: { width: 900, height: 2000 } });
});
afterAll(() => host?.close());

describe('the extension', () => {
  test('activates after start-up, by itself', async () => {
    await expect
      .poll(() => host.evaluate((vscode, id) => vscode.extensions.getExtension(id)?.isActive, extensionId), {
        timeout: 30_000,
      })
      .toBe(true);
    await host.run('workbench.action.showRuntimeExtensions');
    const names = new RegExp(`^(${manifest.displayName}|${extensionId})$`); // under development: the identifier
    const name = host.page.locator('.name').filter({ hasText: names });
    const row = host.page.locator('.runtime-extensions-editor .extension').filter({ has: name });
    const activation = await row.locator('.activation-time').innerText();
    console.log(`activation time of ${manifest.displayName}: ${activation}`);
    expect(activation).toContain('Activation');
  });

  test('has every command that it contributes', async () => {
    const commands = await host.evaluate((vscode) => vscode.commands.getCommands(true));
    const missing = manifest.contributes.commands.filter(({ command }) => !commands.includes(command));
    expect(missing).toEqual([]);
  });

  test('starts no engine and shows nothing until it is asked', async () => {
    expect(await host.webviews()).toEqual([]);
    expect(await host.notifications()).toEqual([]);
  });

  test('keeps working after the window was reloaded', async () => {
    await host.reload();
    const isActive = () => host.evaluate((vscode, id) => vscode.extensions.getExtension(id)?.isActive, extensionId);
    await expect.poll(isActive, { timeout: 30_000 }).toBe(true);
    expect(await host.webviews()).toEqual([]);
  });
});

describe('the test window', () => {
  test('gives each webview an origin of its own, as the desktop does', async () => {
    await host.evaluate((vscode) => {
      const panel = vscode.window.createWebviewPanel('probe', 'Probe', 1, { enableScripts: true });
      panel.webview.html = '<!DOCTYPE html><title>Probe page</title><p>Hello</p>';
    });
    const frame = await host.webview('Probe page');
    const seen = await frame.evaluate(() => ({ origin: location.origin, isIsolated: crossOriginIsolated }));
    expect(seen.origin).toMatch(/^http:\/\/[\da-v]+\.w\.e2e\.localhost:/);
    expect(seen.isIsolated).toBe(false);
    await host.reset();
    await expect.poll(() => host.webviews()).toEqual([]);
  });

  test('hands over arguments, results, events and errors', async () => {
    const events: unknown[] = [];
    const result = await host.evaluate(
      async (vscode, argument, emit) => {
        emit(vscode.window.activeColorTheme.kind);
        return argument.map((value) => value * 2);
      },
      [1, 2],
      (event) => events.push(event),
    );
    expect(result).toEqual([2, 4]);
    expect(events).toEqual([1]);
    await expect(host.evaluate(() => Promise.reject(new Error('no luck')))).rejects.toThrow('no luck');
  });

  test('opens a copy of the workspace', async () => {
    await host.open('letter.md', [0, 2, 0, 10]);
    const selected = await host.evaluate((vscode) => {
      const editor = vscode.window.activeTextEditor;
      return editor?.document.getText(editor.selection);
    });
    expect(selected).toBe('A letter');
    await host.evaluate((vscode) =>
      vscode.window.activeTextEditor?.edit((edit) => edit.insert(new vscode.Position(0, 0), 'x')),
    );
    await host.reset();
    expect(await host.evaluate((vscode) => vscode.window.tabGroups.all.flatMap((group) => group.tabs).length)).toBe(0);
  });
});

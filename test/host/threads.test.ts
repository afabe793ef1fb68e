/** Threads in a real VS Code whose webviews are cross-origin isolated: under the Model page's Content-Security-Policy. */
import { afterAll, expect, test } from 'vitest';
import { type Host, openHost } from '../../scripts/vscode-host/host.mjs';

let host: Host;
afterAll(() => host?.close());

test('the setting starts threads, the Model view says how many, and a prompt is answered', async () => {
  host = await openHost({ isIsolated: true, settings: { 'glasshead.device': 'wasm', 'glasshead.threads': 2 } });
  await host.run('glasshead.loadModel');
  const view = await host.webview('model');
  expect(await view.evaluate(() => crossOriginIsolated)).toBe(true);
  await expect.poll(() => view.locator('model-panel').innerText(), { timeout: 60_000 }).toContain(', 2 threads.');

  await host.run('glasshead.runPrompt', {
    prompt: 'The capital of France is',
    sampling: { temperature: 0, maxTokens: 8 },
  });
  const answer = () => host.evaluate((vscode) => vscode.window.activeTextEditor?.document.getText() ?? '');
  await expect.poll(answer, { timeout: 60_000 }).toMatch(/\S/);
  await expect.poll(() => host.notifications(), { timeout: 60_000 }).toEqual([]); // the progress goes with the answer
});

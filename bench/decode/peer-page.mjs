/** A page on loopback for a side of the benchmark that is not ours, in a Chromium started like the engine's. */
import { chromium } from 'playwright-core';
import { startStaticServer } from '../../scripts/browser-engine/static-server.mjs';
import { chromiumArguments, ensureChromium } from '../../scripts/vscode-host/chromium.mjs';

/**
 * @param {Record<string, string>} folders  First part of the address -> folder on disk.
 * @param {Record<string, string>} [scripts]  Address -> source of a script.
 */
export async function openPeerPage(folders, scripts = {}) {
  /** @type {Map<string, string>} */
  const pages = new Map([['/page.html', '<!doctype html>'], ['/favicon.ico', ''], ...Object.entries(scripts)]);
  const server = await startStaticServer({ folders, pages });
  const browser = await chromium.launch({ executablePath: await ensureChromium(), args: chromiumArguments });
  const close = async () => {
    await browser.close();
    await server.close();
  };
  try {
    const page = await browser.newPage();
    await page.route(
      (url) => url.origin !== server.origin && url.protocol.startsWith('http'),
      (route) => route.abort(),
    );
    await page.goto(`${server.origin}/page.html`);
    return { page, close };
  } catch (thrown) {
    await close();
    throw thrown;
  }
}

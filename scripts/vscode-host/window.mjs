/** A browser window for a person, on an address of ours; what it stores is kept for the next time. */
import path from 'node:path';
import { chromium } from 'playwright-core';
import { chromiumArguments, ensureChromium } from './chromium.mjs';
import { hostDirectory } from './install.mjs';

/**
 * @param {string} url
 * @returns {Promise<{closed: Promise<void>, close: () => Promise<void>}>}
 */
export async function openWindow(url) {
  const context = await chromium.launchPersistentContext(path.join(hostDirectory(), 'browser'), {
    executablePath: await ensureChromium(),
    args: [...chromiumArguments, `--app=${url}`],
    ignoreDefaultArgs: ['--enable-automation'],
    headless: false,
    viewport: null,
    ...keepSignals,
  });
  return {
    closed: new Promise((resolve) => context.once('close', () => resolve())),
    close: () => context.close(),
  };
}

/** Whoever opens a browser ends it, after what is before it; Playwright would end the whole process. */
export const keepSignals = { handleSIGINT: false, handleSIGTERM: false, handleSIGHUP: false };

import { readdirSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { openCheckPage } from '../../scripts/attention-check/check-page.mjs';

const home = fileURLToPath(new URL('../fixtures/attention/', import.meta.url));
const folders = readdirSync(home, { withFileTypes: true })
  .filter((entry) => entry.isDirectory())
  .map(({ name }) => home + name);

describe('attention read out of graphs, in Chromium on WebAssembly', () => {
  let page: Awaited<ReturnType<typeof openCheckPage>>;

  beforeAll(async () => {
    page = await openCheckPage({ runtime: 'ort', folders });
  });
  afterAll(() => page.close());

  test('there are folders of every kind', () => expect(folders.length).toBeGreaterThanOrEqual(47));

  test.each(folders)('%s', async (folder) => {
    const { cases } = await page.check(folder);
    expect(cases.length).toBeGreaterThan(0);
    expect(cases.flatMap(({ name, failures }) => failures.map((failure) => `${name}: ${failure}`))).toEqual([]);
  });
});

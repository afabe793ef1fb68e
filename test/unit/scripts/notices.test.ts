/** Whoever has code in a bundle is named in THIRD-PARTY-NOTICES.md. */
import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { findBundledPackages, heading } from '../../../scripts/notices.mjs';

test('every package of which something is shipped is in the notices, and no other', async () => {
  const notices = readFileSync('THIRD-PARTY-NOTICES.md', 'utf8');
  const packages = await findBundledPackages();
  expect(packages.length).toBeGreaterThan(5);
  const named = [...notices.matchAll(/^### .+ \d+\.\d+\.\d+.*$/gm)].map(([line]) => line);
  expect(named.sort()).toEqual(packages.map(heading).sort());
  for (const { text } of packages) expect(notices).toContain(text);
});

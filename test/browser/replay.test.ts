/** `npm run replay` on two cases: the extension's own path with the real model in a real browser. */
import { expect, test } from 'vitest';
import { replay } from '../../scripts/replay-cases.mjs';

test('completes lines and compares them with what stood there', async () => {
  const cases = [
    // The half-typed word is healed: "json" is one token that begins with " js".
    { lang: 'python', file: 'a.py', prefix: 'import os\r\nimport sys\r\nimport js', suffix: '\r\n', target: 'on  ' },
    // The space at the cursor is healed. The target is not what a model would say.
    {
      lang: 'python',
      file: 'b.py',
      prefix: 'def add(a, b):\n    return a + b\n\n\ndef subtract(a, b):\n    return ',
      suffix: '\n',
      target: 'a - c',
    },
  ];
  const { outcomes, exact, prefix } = await replay(cases, { contextTokens: 64 });
  expect(outcomes).toEqual([
    { file: 'a.py', target: 'on', suggestion: 'on', exact: true, prefix: 1 },
    { file: 'b.py', target: 'a - c', suggestion: 'a - b', exact: false, prefix: 0.8 },
  ]);
  expect([exact, prefix]).toEqual([0.5, 0.9]);
});

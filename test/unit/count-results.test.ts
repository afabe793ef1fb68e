/** `npm test` reports everything that went wrong as a failure. */
import { expect, test } from 'vitest';
import { countResults } from '../../scripts/count-results.mjs';

const passed = { status: 'passed' };
const failed = { status: 'failed' };

test.each([
  ['all passed', { numPassedTests: 3, numPendingTests: 1 }, 0, { passed: 3, failed: 0, skipped: 1 }],
  ['one failed', { numPassedTests: 3, numFailedTests: 1 }, 1, { passed: 3, failed: 1, skipped: 0 }],
  ['no results', {}, 0, { passed: 0, failed: 1, skipped: 0, complaint: 'ran none, and ended with status 0' }],
  ['killed', {}, null, { passed: 0, failed: 1, skipped: 0, complaint: 'ran none, and ended with status null' }],
  ['crashed after', { numPassedTests: 3 }, 1, { passed: 3, failed: 1, skipped: 0, complaint: 'ended with status 1' }],
  [
    'a broken file and a file with a failed test',
    {
      numPassedTests: 3,
      numFailedTests: 1,
      testResults: [
        { status: 'failed', assertionResults: [] },
        { status: 'failed', assertionResults: [passed, failed] },
      ],
    },
    1,
    { passed: 3, failed: 2, skipped: 0 },
  ],
])('%s', (_name, results, status, expected) => {
  expect(countResults(results, status)).toEqual(expected);
});

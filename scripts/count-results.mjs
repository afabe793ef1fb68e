/** Counts of a run of Vitest, where nothing that went wrong is missing: a crash, a broken file and no test at all. */

/**
 * @typedef {object} VitestResults of its JSON reporter; empty when it wrote none
 * @property {number} [numPassedTests]
 * @property {number} [numFailedTests]
 * @property {number} [numPendingTests]
 * @property {number} [numTodoTests]
 * @property {{status: string, assertionResults: {status: string}[]}[]} [testResults]
 */

/**
 * @param {VitestResults} results
 * @param {number | null} status of the process; null when it was killed
 * @returns {{passed: number, failed: number, skipped: number, complaint?: string}}
 */
export function countResults(results, status) {
  const { numPassedTests = 0, numFailedTests = 0, numPendingTests = 0, numTodoTests = 0, testResults = [] } = results;
  // A file that failed before its first test, or in a hook, has no failed test to show for it.
  const brokenFiles = testResults.filter(
    (file) => file.status === 'failed' && !file.assertionResults.some((test) => test.status === 'failed'),
  ).length;
  const counts = {
    passed: numPassedTests,
    failed: numFailedTests + brokenFiles,
    skipped: numPendingTests + numTodoTests,
  };
  if (counts.failed > 0) return counts;
  if (counts.passed === 0) return { ...counts, failed: 1, complaint: `ran none, and ended with status ${status}` };
  if (status !== 0) return { ...counts, failed: 1, complaint: `ended with status ${status}` };
  return counts;
}

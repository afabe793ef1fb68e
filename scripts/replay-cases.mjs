/** Runs completion cases through the extension's own path with the real engine, for `npm run replay` and its test. */
import { importSource, openBrowserEngine } from './browser-engine/browser-engine.mjs';

/** @typedef {{lang: string, file: string, prefix: string, suffix: string, target: string}} Case */
/** @typedef {{file: string, target: string, suggestion: string, reason?: string, exact: boolean, prefix: number}} Outcome */

/** A completion is waited for as long as it takes: timers know no longer time. */
const patienceMs = 2 ** 31 - 1;

/**
 * @param {readonly Case[]} cases
 * @param {{contextTokens: number, dist?: string, onOutcome?: (outcome: Outcome, index: number) => void}} options
 */
export async function replay(cases, { contextTokens, dist, onOutcome = () => {} }) {
  const { CompletionSession } = await importSource('src/completions/completion-session.ts');
  const engine = await openBrowserEngine(dist ? { dist } : {});
  try {
    await engine.load();
    /** @type {Outcome[]} */
    const outcomes = [];
    for (const [index, { file, prefix, suffix, target }] of cases.entries()) {
      // One session a case: nothing of one may help another.
      const session = new CompletionSession({ engine, onLate: () => {}, budgetMs: patienceMs });
      const found = await session.provide({
        document: file,
        prefix: prefix.replace(/\r\n?/g, '\n'),
        suffix: suffix.replace(/\r\n?/g, '\n'),
        contextTokens,
        isExplicit: true,
      });
      const { kind } = await engine.state();
      if (kind !== 'ready') throw new Error(`The engine is ${kind} after case ${index + 1}: ${found.reason}`);
      const outcome = compare(found, file, target);
      outcomes.push(outcome);
      onOutcome(outcome, index);
    }
    return { outcomes, ...summarise(outcomes) };
  } finally {
    await engine.close();
  }
}

/**
 * @param {{kind: 'text', text: string} | {kind: 'none', reason: string}} found
 * @param {string} file
 * @param {string} target
 * @returns {Outcome}
 */
function compare(found, file, target) {
  const suggestion = found.kind === 'text' ? found.text.trimEnd() : '';
  const wanted = target.trimEnd();
  return {
    file,
    target: wanted,
    suggestion,
    ...(found.kind === 'none' && { reason: found.reason }),
    exact: suggestion === wanted,
    prefix: wanted === '' ? Number(suggestion === '') : sharedLength(suggestion, wanted) / wanted.length,
  };
}

/**
 * @param {string} a
 * @param {string} b
 */
function sharedLength(a, b) {
  let length = 0;
  while (length < a.length && length < b.length && a[length] === b[length]) length++;
  return length;
}

/** @param {readonly Outcome[]} outcomes */
function summarise(outcomes) {
  const mean = (/** @type {(outcome: Outcome) => number} */ value) =>
    outcomes.reduce((sum, outcome) => sum + value(outcome), 0) / Math.max(1, outcomes.length);
  return { exact: mean(({ exact }) => Number(exact)), prefix: mean(({ prefix }) => prefix) };
}

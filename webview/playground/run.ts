/** One answer on its way: what the engine has said of it so far, and the numbers when it does not come to its end. */
import type { GenerateProgress, GenerateResult } from '../../src/shared/engine-contract.ts';
import type { RunNumbers } from '../../src/shared/playground-contract.ts';

export interface Run {
  readonly messageId: number;
  readonly versionId: number;
  readonly controller: AbortController;
  readonly startedAt: number;
  readonly phase: 'starting' | 'queued' | 'prefill' | 'decode';
  /** Requests before this one, while it is queued. */
  readonly ahead: number;
  /** Prompt tokens: computed so far, to be computed, taken from the cache. */
  readonly done: number;
  readonly total: number;
  readonly reused: number;
  readonly generated: number;
  readonly workedAt: number | undefined;
  readonly firstTokenAt: number | undefined;
}

export function startRun(messageId: number, versionId: number, now: number): Run {
  return {
    messageId,
    versionId,
    controller: new AbortController(),
    startedAt: now,
    phase: 'starting',
    ahead: 0,
    done: 0,
    total: 0,
    reused: 0,
    generated: 0,
    workedAt: undefined,
    firstTokenAt: undefined,
  };
}

export function advance(run: Run, progress: GenerateProgress, now: number): Run {
  if (progress.kind === 'queued') return { ...run, phase: 'queued', ahead: progress.ahead };
  const workedAt = run.workedAt ?? now;
  if (progress.kind === 'prefill') {
    const { done, total, reused } = progress;
    return { ...run, phase: 'prefill', done, total, reused, workedAt };
  }
  const generated = run.generated + progress.steps.length;
  return { ...run, phase: 'decode', generated, workedAt, firstTokenAt: run.firstTokenAt ?? now };
}

/** Measured on this side: for an answer that was stopped, or whose engine died. */
export function numbersSoFar(run: Run, now: number): RunNumbers {
  const { startedAt, workedAt = now, firstTokenAt, done, total, reused, generated } = run;
  return {
    finish: 'stopped',
    promptTokens: total + reused,
    cutTokens: 0,
    reusedTokens: reused,
    computedTokens: done,
    generatedTokens: generated,
    queuedMs: workedAt - startedAt,
    prefillMs: (firstTokenAt ?? now) - workedAt,
    firstTokenMs: (firstTokenAt ?? now) - workedAt,
    decodeMs: firstTokenAt === undefined ? 0 : now - firstTokenAt,
    neutralised: [],
  };
}

export function numbersOf({ text: _text, ...numbers }: GenerateResult): RunNumbers {
  return numbers;
}

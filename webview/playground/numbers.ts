/** The numbers of a run as people read them. Pure. */
import type { RunNumbers } from '../../src/shared/playground-contract.ts';

const whole = new Intl.NumberFormat('en');

export function formatCount(count: number): string {
  return whole.format(count);
}

export function plural(count: number, noun: string): string {
  return `${formatCount(count)} ${noun}${count === 1 ? '' : 's'}`;
}

function formatSeconds(ms: number): string {
  return ms < 995 ? `${Math.round(ms)} ms` : `${(ms / 1000).toFixed(ms < 9950 ? 2 : 1)} s`;
}

/** Tokens per second; undefined where nothing was measured. */
export function rate(tokens: number, ms: number): number | undefined {
  return tokens > 0 && ms > 0 ? (tokens * 1000) / ms : undefined;
}

export function formatRate(value: number | undefined): string {
  return value === undefined ? '–' : `${value < 10 ? value.toFixed(1) : formatCount(Math.round(value))} tokens/s`;
}

export function formatBytes(bytes: number): string {
  return bytes < 1e6 ? `${Math.round(bytes / 1e3)} kB` : `${formatCount(Math.round(bytes / 1e6))} MB`;
}

const endings: Record<RunNumbers['finish'], string> = {
  end: 'the model ended it',
  stop: 'a stop string ended it',
  length: 'the limit of new tokens ended it',
  context: 'the context is full',
  stopped: 'it was stopped',
};

function describeFinish(finish: RunNumbers['finish']): string {
  return endings[finish];
}

/** One line: what most people want to know. */
export function summarise(numbers: RunNumbers): string {
  const { generatedTokens, firstTokenMs, finish } = numbers;
  return [
    plural(generatedTokens, 'token'),
    formatRate(decodeRate(numbers)),
    `first after ${formatSeconds(firstTokenMs)}`,
    describeFinish(finish),
  ].join(' · ');
}

/** The first token comes out of prefill; decoding makes the others. */
function decodeRate({ generatedTokens, decodeMs }: RunNumbers): number | undefined {
  return rate(generatedTokens - 1, decodeMs);
}

/** Every number with its name. */
export function listNumbers(numbers: RunNumbers, contextLength: number | undefined): [string, string][] {
  const { promptTokens, generatedTokens, computedTokens, reusedTokens, cutTokens, prefillMs, queuedMs } = numbers;
  const used = promptTokens + generatedTokens;
  const rows: [string, string][] = [
    ['Time to first token', formatSeconds(numbers.firstTokenMs)],
    ['Prefill', `${formatRate(rate(computedTokens, prefillMs))}, ${formatSeconds(prefillMs)}`],
    ['Prompt tokens computed', `${formatCount(computedTokens)}, ${formatCount(reusedTokens)} reused`],
    ['Decode', `${formatRate(decodeRate(numbers))}, ${formatSeconds(numbers.decodeMs)}`],
    ['Context used', `${formatCount(used)}${contextLength ? ` of ${formatCount(contextLength)} tokens` : ' tokens'}`],
    ['How it ended', describeFinish(numbers.finish)],
  ];
  if (cutTokens > 0) rows.push(['Cut from the start', plural(cutTokens, 'token')]);
  if (queuedMs >= 50) rows.push(['Waited in the queue', formatSeconds(queuedMs)]);
  return rows;
}

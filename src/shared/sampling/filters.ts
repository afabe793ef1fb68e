/**
 * What may happen to the scores of a token before one is drawn, in the order in which it does: constraint, logit bias,
 * repetition penalty, frequency and presence penalties, temperature, top-k, top-p, min-p. The order is that of Hugging
 * Face's generation; each filter sees only what the ones before it left, with probabilities that sum to 1 again.
 */
import type { SamplingSettings } from '../sampling-settings.ts';
import type { Candidates } from './candidates.ts';
import { keepUntil } from './cutoff.ts';
import type { TokenHistory } from './token-history.ts';

interface FilterContext {
  readonly settings: SamplingSettings;
  readonly history: TokenHistory;
  /** When present, only these tokens may come next (token healing). Ascending. */
  readonly allowed?: readonly number[] | undefined;
}

export interface Filter {
  readonly name: string;
  isOn(context: FilterContext): boolean;
  apply(candidates: Candidates, context: FilterContext): void;
}

/** A bias at or below this forbids the token, as the settings say. */
const forbidding = -100;
/** Sums of probabilities are compared with this slack, so that 0.5 of two equal tokens is one token, not two. */
const slack = 1e-9;

function addTo(candidates: Candidates, id: number, change: (score: number) => number): void {
  const index = candidates.indexOf(id);
  if (index >= 0) candidates.scores[index] = change(candidates.scores[index] as number);
}

export const filters: readonly Filter[] = [
  {
    name: 'constraint',
    isOn: ({ allowed }) => allowed !== undefined,
    apply: (candidates, { allowed = [] }) => {
      let next = 0;
      candidates.keep((_score, id) => {
        while (next < allowed.length && (allowed[next] as number) < id) next++;
        return allowed[next] === id;
      });
    },
  },
  {
    name: 'logitBias',
    isOn: ({ settings }) => Object.keys(settings.logitBias ?? {}).length > 0,
    apply: (candidates, { settings }) => {
      const forbidden = new Set<number>();
      for (const [key, bias] of Object.entries(settings.logitBias ?? {})) {
        if (bias <= forbidding) forbidden.add(Number(key));
        else addTo(candidates, Number(key), (score) => score + bias);
      }
      if (forbidden.size > 0) candidates.keep((_score, id) => !forbidden.has(id));
    },
  },
  {
    name: 'repetitionPenalty',
    isOn: ({ settings }) => settings.repetitionPenalty !== 1,
    apply: (candidates, { settings, history }) => {
      const penalty = settings.repetitionPenalty;
      for (const id of history.seen) addTo(candidates, id, (score) => (score > 0 ? score / penalty : score * penalty));
    },
  },
  {
    name: 'frequencyPenalty',
    isOn: ({ settings }) => settings.frequencyPenalty !== 0,
    apply: (candidates, { settings, history }) => {
      for (const [id, times] of history.answerCounts)
        addTo(candidates, id, (score) => score - settings.frequencyPenalty * times);
    },
  },
  {
    name: 'presencePenalty',
    isOn: ({ settings }) => settings.presencePenalty !== 0,
    apply: (candidates, { settings, history }) => {
      for (const id of history.answerCounts.keys()) addTo(candidates, id, (score) => score - settings.presencePenalty);
    },
  },
  {
    name: 'temperature',
    isOn: ({ settings }) => settings.temperature !== 1,
    apply: (candidates, { settings }) => {
      const { temperature } = settings;
      const best = candidates.best();
      if (temperature === 0) return candidates.keepOnly(best);
      // Relative to the best, so that a temperature near 0 does not overflow.
      const max = candidates.scores[best] as number;
      for (let i = 0; i < candidates.count; i++)
        candidates.scores[i] = ((candidates.scores[i] as number) - max) / temperature;
    },
  },
  {
    name: 'topK',
    isOn: ({ settings }) => settings.topK > 0,
    apply: (candidates, { settings }) => {
      if (settings.topK < candidates.count) keepUntil(candidates, settings.topK, () => 1);
    },
  },
  {
    name: 'topP',
    isOn: ({ settings }) => settings.topP < 1,
    apply: (candidates, { settings }) => {
      const total = candidates.logTotal();
      const target = Math.max(settings.topP - slack, Number.MIN_VALUE);
      keepUntil(candidates, target, (score) => Math.exp(score - total));
    },
  },
  {
    name: 'minP',
    isOn: ({ settings }) => settings.minP > 0,
    apply: (candidates, { settings }) => {
      const max = candidates.scores[candidates.best()] as number;
      const least = max + Math.log(settings.minP) - slack;
      candidates.keep((score) => score >= least);
    },
  },
];

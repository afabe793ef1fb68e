/**
 * What may happen to the scores of a token before one is drawn, in the order in which it does: constraint, logit bias,
 * repetition penalty, frequency and presence penalties, temperature, top-k, top-p, min-p. The order is that of Hugging
 * Face's generation; each filter sees only what the ones before it left, with probabilities that sum to 1 again.
 */
import type { SamplingSettings } from '../sampling-settings.ts';
import type { Candidates } from './candidates.ts';
import { keepShare, keepTop } from './cutoff.ts';
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

export const filters: readonly Filter[] = [
  {
    name: 'constraint',
    isOn: ({ allowed }) => allowed !== undefined,
    apply: (candidates, { allowed = [] }) => candidates.keepIds(allowed),
  },
  {
    name: 'logitBias',
    isOn: ({ settings }) => Object.keys(settings.logitBias ?? {}).length > 0,
    apply: (candidates, { settings }) => {
      const forbidden: number[] = [];
      for (const [key, bias] of Object.entries(settings.logitBias ?? {})) {
        if (bias <= forbidding) forbidden.push(Number(key));
        else candidates.change(Number(key), (score) => score + bias);
      }
      candidates.dropIds(forbidden.sort((a, b) => a - b));
    },
  },
  {
    name: 'repetitionPenalty',
    isOn: ({ settings }) => settings.repetitionPenalty !== 1,
    apply: (candidates, { settings, history }) => {
      const penalty = settings.repetitionPenalty;
      for (const id of history.seen) candidates.change(id, (score) => (score > 0 ? score / penalty : score * penalty));
    },
  },
  {
    name: 'frequencyPenalty',
    isOn: ({ settings }) => settings.frequencyPenalty !== 0,
    apply: (candidates, { settings, history }) => {
      for (const [id, times] of history.answerCounts)
        candidates.change(id, (score) => score - settings.frequencyPenalty * times);
    },
  },
  {
    name: 'presencePenalty',
    isOn: ({ settings }) => settings.presencePenalty !== 0,
    apply: (candidates, { settings, history }) => {
      for (const id of history.answerCounts.keys()) candidates.change(id, (score) => score - settings.presencePenalty);
    },
  },
  {
    name: 'temperature',
    isOn: ({ settings }) => settings.temperature !== 1,
    apply: (candidates, { settings }) => {
      const { temperature } = settings;
      if (temperature === 0) candidates.keepOnly(candidates.best());
      else candidates.temper(temperature);
    },
  },
  {
    name: 'topK',
    isOn: ({ settings }) => settings.topK > 0,
    apply: (candidates, { settings }) => keepTop(candidates, settings.topK),
  },
  {
    name: 'topP',
    isOn: ({ settings }) => settings.topP < 1,
    apply: (candidates, { settings }) => keepShare(candidates, Math.max(settings.topP - slack, Number.MIN_VALUE)),
  },
  {
    name: 'minP',
    isOn: ({ settings }) => settings.minP > 0,
    apply: (candidates, { settings }) => {
      candidates.keepAtLeast(candidates.bestScore() + Math.log(settings.minP) - slack);
    },
  },
];

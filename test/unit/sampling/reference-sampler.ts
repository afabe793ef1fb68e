/** Which tokens the filters leave, written down as plainly as can be: sorted lists, no shortcuts. */
import type { SamplingSettings } from '../../../src/shared/sampling-settings.ts';

export interface Entry {
  readonly id: number;
  score: number;
}

const softmax = (entries: readonly Entry[]): number[] => {
  const max = Math.max(...entries.map(({ score }) => score));
  const shares = entries.map(({ score }) => Math.exp(score - max));
  const sum = shares.reduce((a, b) => a + b, 0);
  return shares.map((share) => share / sum);
};

export function referenceFilter(
  logits: Float32Array,
  settings: SamplingSettings,
  { prompt, answer }: { prompt: readonly number[]; answer: readonly number[] },
): Entry[] {
  let entries: Entry[] = [...logits].map((score, id) => ({ id, score })).filter(({ score }) => score !== -Infinity);
  const best = [...entries].sort((a, b) => b.score - a.score || a.id - b.id)[0]!;
  for (const entry of entries) {
    const bias = settings.logitBias?.[String(entry.id)];
    if (bias !== undefined && bias > -100) entry.score = Math.fround(entry.score + bias);
  }
  entries = entries.filter(({ id }) => (settings.logitBias?.[String(id)] ?? 0) > -100);
  if (entries.length === 0) entries = [best];
  for (const entry of entries) {
    const times = answer.filter((id) => id === entry.id).length;
    const { repetitionPenalty: penalty } = settings;
    if (times > 0 || prompt.includes(entry.id))
      entry.score = Math.fround(entry.score > 0 ? entry.score / penalty : entry.score * penalty);
    entry.score = Math.fround(entry.score - settings.frequencyPenalty * times);
    if (times > 0) entry.score = Math.fround(entry.score - settings.presencePenalty);
  }
  entries.sort((a, b) => b.score - a.score || a.id - b.id);
  if (settings.temperature === 0) return entries.slice(0, 1);
  const top = entries[0]!.score;
  if (settings.temperature !== 1)
    for (const entry of entries) entry.score = Math.fround((entry.score - top) / settings.temperature);
  entries.sort((a, b) => b.score - a.score || a.id - b.id);
  if (settings.topK > 0) entries = entries.slice(0, settings.topK);
  if (settings.topP < 1) {
    const shares = softmax(entries);
    let sum = 0;
    const reached = shares.findIndex((share) => {
      sum += share;
      return sum >= settings.topP - 1e-9;
    });
    entries = entries.slice(0, (reached < 0 ? entries.length : reached) + 1);
  }
  if (settings.minP > 0) {
    const shares = softmax(entries);
    entries = entries.filter((_entry, i) => shares[i]! >= shares[0]! * settings.minP * (1 - 1e-9));
  }
  return entries;
}

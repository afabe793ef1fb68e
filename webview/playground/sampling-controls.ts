/** The sliders of the settings panel: one row a parameter, what it does in a sentence, and what is in effect. Pure. */
import { defaultSampling, type SamplingSettings } from '../../src/shared/sampling-settings.ts';
import { formatCount } from './numbers.ts';

type SliderKey = Exclude<keyof SamplingSettings, 'seed' | 'stop' | 'logitBias'>;

interface Effect {
  readonly note: string;
  /** Set where the value changes nothing. */
  readonly isIdle: boolean;
}

interface EffectContext {
  /** Tokens that the context leaves for the answer, when known. */
  readonly room?: number | undefined;
}

export interface SliderControl {
  readonly key: SliderKey;
  readonly label: string;
  readonly sentence: string;
  readonly min: number;
  readonly max: number;
  readonly trackMax?: number;
  readonly step: number;
  readonly group: 'main' | 'filters' | 'repetition';
  /** The value that switches it off, if there is one. */
  readonly off?: number;
}

export const sliderControls: readonly SliderControl[] = [
  {
    key: 'temperature',
    label: 'Temperature',
    sentence: 'Low keeps to the probable tokens, high lets rarer ones through; 0 always takes the most probable.',
    min: 0,
    max: 5,
    trackMax: 2,
    step: 0.05,
    group: 'main',
  },
  {
    key: 'maxTokens',
    label: 'Max tokens',
    sentence: 'The answer ends after this many tokens at the latest.',
    min: 1,
    max: 100_000,
    trackMax: 1024,
    step: 1,
    group: 'main',
  },
  {
    key: 'topP',
    label: 'Top-p',
    sentence: 'Draws from the fewest most probable tokens that together reach this probability.',
    min: 0,
    max: 1,
    step: 0.01,
    group: 'filters',
    off: 1,
  },
  {
    key: 'topK',
    label: 'Top-k',
    sentence: 'Draws from this many of the most probable tokens.',
    min: 0,
    max: 100_000,
    trackMax: 100,
    step: 1,
    group: 'filters',
    off: 0,
  },
  {
    key: 'minP',
    label: 'Min-p',
    sentence: 'Leaves out tokens less probable than this share of the most probable one.',
    min: 0,
    max: 1,
    step: 0.01,
    group: 'filters',
    off: 0,
  },
  {
    key: 'repetitionPenalty',
    label: 'Repetition penalty',
    sentence: 'Above 1 makes every token that was seen before, in the prompt too, less probable.',
    min: 0.5,
    max: 3,
    trackMax: 2,
    step: 0.05,
    group: 'repetition',
    off: 1,
  },
  {
    key: 'frequencyPenalty',
    label: 'Frequency penalty',
    sentence: 'Lowers a token a little more each time the answer uses it.',
    min: -2,
    max: 2,
    step: 0.1,
    group: 'repetition',
    off: 0,
  },
  {
    key: 'presencePenalty',
    label: 'Presence penalty',
    sentence: 'Lowers a token once the answer has used it, however often.',
    min: -2,
    max: 2,
    step: 0.1,
    group: 'repetition',
    off: 0,
  },
];

/** What a control really does with these settings. */
export function effectOf(key: SliderKey, sampling: SamplingSettings, { room }: EffectContext = {}): Effect {
  const control = sliderControls.find((one) => one.key === key);
  const value = sampling[key];
  if (control?.group === 'filters') {
    if (value === control.off) return { note: 'Off: leaves all tokens.', isIdle: false };
    if (sampling.temperature === 0) return { note: 'Idle: temperature 0 leaves a single token.', isIdle: true };
    if (key !== 'topK' && sampling.topK === 1) return { note: 'Idle: top-k 1 leaves a single token.', isIdle: true };
  }
  if (control?.group === 'repetition' && value === control.off) return { note: 'Off.', isIdle: false };
  if (key === 'temperature' && value === 0) return { note: 'In effect: the same answer every time.', isIdle: false };
  if (key === 'temperature' && sampling.topK === 1) {
    return { note: 'Idle: top-k 1 leaves a single token.', isIdle: true };
  }
  if (key === 'maxTokens' && room !== undefined && room < value) {
    return { note: `In effect: ${formatCount(Math.max(0, room))}, all that the context leaves.`, isIdle: false };
  }
  return { note: '', isIdle: false };
}

/** Whether chance has a say at all. */
export function isGreedy({ temperature, topK }: SamplingSettings): boolean {
  return temperature === 0 || topK === 1;
}

/** How many parameters differ from their defaults. */
export function changedCount(sampling: SamplingSettings): number {
  const sliders = sliderControls.filter(({ key }) => sampling[key] !== defaultSampling[key]).length;
  const others = [sampling.seed !== undefined, sampling.stop.length > 0, sampling.logitBias !== undefined];
  return sliders + others.filter(Boolean).length;
}

const filterNames: Record<string, string> = {
  constraint: 'Token healing',
  logitBias: 'Logit bias',
  ...Object.fromEntries(sliderControls.map(({ key, label }) => [key, label])),
};

/** The name of a filter as the engine reports it. */
export function filterName(filter: string): string {
  return filterNames[filter] ?? filter;
}

/** `\n`, `\t` and `\\` in a one-line field stand for the characters they name. */
export function readEscapes(typed: string): string {
  const characters: Record<string, string> = { n: '\n', t: '\t', r: '\r', '\\': '\\' };
  return typed.replace(/\\([ntr\\])/g, (_all, name: string) => characters[name] ?? name);
}

export function writeEscapes(text: string): string {
  return text.replace(/[\\\n\t\r]/g, (one) => ({ '\\': '\\\\', '\n': '\\n', '\t': '\\t' })[one] ?? '\\r');
}

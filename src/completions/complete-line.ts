/**
 * The rest of the line at the cursor, or the reason why there is none. Pure: the editor's provider and
 * `npm run replay` both go through here.
 */
import type { engineMethods, GenerateProgress } from '../shared/engine-contract.ts';
import type { Caller } from '../shared/peer.ts';
import { greedySampling } from '../shared/sampling-settings.ts';
import type { ContextWindow } from './context.ts';
import { filterSuggestion, isDegenerate, none, type Suggestion, type Surroundings } from './filter.ts';
import { splitForHealing } from './healing.ts';

/** What stands around the cursor, with line breaks as "\n". */
export interface LinePlace {
  readonly prefix: string;
  readonly suffix: string;
}

export interface CompleteLineOptions {
  readonly window: ContextWindow;
  readonly contextTokens: number;
  readonly signal: AbortSignal;
  /** Told what the model has written so far, before it is filtered. */
  readonly onText?: (text: string) => void;
}

/** A line of 120 characters has about 40 tokens. */
const longestLineTokens = 48;

/** @throws AppError of the engine, `cancelled` among them. */
export async function completeLine(
  engine: Caller<typeof engineMethods>,
  place: LinePlace,
  options: CompleteLineOptions,
): Promise<Suggestion> {
  const { signal, window, contextTokens, onText } = options;
  const { prompt, heal } = splitForHealing(place.prefix);
  const ownStop = new AbortController();
  const stopped = AbortSignal.any([signal, ownStop.signal]);
  let written = '';
  const onProgress = (progress: GenerateProgress) => {
    if (progress.kind !== 'tokens') return;
    for (const { text } of progress.steps) written += text;
    const answer = withoutHealed(written, heal);
    if (isDegenerate(answer)) ownStop.abort();
    else if (answer !== '') onText?.(answer);
  };
  try {
    const text = await window.choose(prompt, { limitTokens: contextTokens, signal });
    const result = await engine.call(
      'generate',
      {
        input: { kind: 'text', text },
        heal,
        sampling: { ...greedySampling, maxTokens: longestLineTokens, stop: ['\n', '\r'] },
        priority: 'inline',
        overflow: 'cut-start',
        details: false,
      },
      { signal: stopped, onProgress },
    );
    return filterSuggestion(withoutHealed(result.text, heal), surroundingsOf(place), result.finish === 'length');
  } catch (thrown) {
    if (ownStop.signal.aborted && !signal.aborted) return none('the model repeats itself');
    throw thrown;
  }
}

/** What follows the text that the first tokens had to spell; nothing as long as they spell it. */
function withoutHealed(answer: string, heal: string): string {
  return answer.startsWith(heal) ? answer.slice(heal.length) : '';
}

export function surroundingsOf({ prefix, suffix }: LinePlace): Surroundings {
  const [lineSuffix = '', ...following] = suffix.split('\n', 200);
  return {
    linePrefix: prefix.slice(prefix.lastIndexOf('\n') + 1),
    lineSuffix,
    nextLine: following.find((line) => line.trim() !== '') ?? '',
  };
}

/** What the prompt commands share: recent prompts, settings, and the way an answer is run. */
import type { Settings } from '../platform/settings.ts';
import { defaultSampling, type SamplingSettings } from '../shared/sampling-settings.ts';
import { Answer, type AnswerParts, type AnswerSpec } from './answer.ts';
import { AnswerTarget } from './answer-target.ts';
import { createTextTransform } from './answer-transforms.ts';
import type { RecentPrompts } from './recent-prompts.ts';
import type { UnfinishedAnswer } from './unfinished-answers.ts';

export type PromptSettings = Settings['prompts'];

/** As AnswerSpec, where the untitled editor and the settings are the default. */
type AnswerWish = Omit<AnswerSpec, 'sampling' | 'target' | 'createTransform'> &
  Partial<Pick<AnswerSpec, 'target' | 'createTransform'>> & {
    readonly sampling: { readonly [K in keyof SamplingSettings]?: SamplingSettings[K] | undefined };
  };

export class PromptCommands {
  readonly recent: RecentPrompts;
  readonly settings: () => PromptSettings;
  readonly #parts: AnswerParts;

  constructor(parts: AnswerParts, recent: RecentPrompts, settings: () => PromptSettings) {
    this.#parts = parts;
    this.recent = recent;
    this.settings = settings;
  }

  /** Undefined when it failed and the user, who has been told, is the only one to know; rejects for automation. */
  async answer(wish: AnswerWish): Promise<string | undefined> {
    const { maxTokens, temperature } = this.settings();
    const { isCode, languageId } = wish.build(wish.material);
    // Code repeats itself, and what is corrected repeats the material.
    const repetitionPenalty = isCode ? 1 : defaultSampling.repetitionPenalty;
    const own = { ...defaultSampling, repetitionPenalty, maxTokens, temperature };
    const sampling = { ...own, ...wish.sampling } as SamplingSettings;
    const target = wish.target ?? new AnswerTarget({ kind: 'untitled', languageId });
    const answer = new Answer(this.#parts, {
      ...wish,
      sampling,
      target,
      createTransform: wish.createTransform ?? createTextTransform,
    });
    try {
      return await answer.complete();
    } catch (thrown) {
      if (wish.isAutomated) throw thrown;
      return undefined;
    }
  }

  /** Goes on with an answer that a reload of the window cut off, in an editor of its own. */
  async resume(unfinished: UnfinishedAnswer): Promise<void> {
    const { title, input, sampling, languageId, isCode, startsInside, ids, text } = unfinished;
    const answer = new Answer(this.#parts, {
      title,
      material: '',
      build: () => ({ input, languageId, isCode, startsInside }),
      sampling,
      target: new AnswerTarget({ kind: 'untitled', languageId }),
      createTransform: createTextTransform,
      isAutomated: false,
    });
    answer.resume(ids, text);
    await answer.complete().catch(() => undefined); // said already
  }
}

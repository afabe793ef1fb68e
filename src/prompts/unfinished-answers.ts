/** Answers that are being written, so that a reload of the window in the middle of one can be told and made good. */
import * as v from 'valibot';
import { promptInputSchema } from '../shared/engine-contract.ts';
import { samplingSchema } from '../shared/sampling-settings.ts';

const unfinishedSchema = v.object({
  id: v.string(),
  title: v.string(),
  input: promptInputSchema,
  sampling: samplingSchema,
  languageId: v.string(),
  isCode: v.boolean(),
  startsInside: v.boolean(),
  ids: v.array(v.number()),
  text: v.string(),
});
export type UnfinishedAnswer = v.InferOutput<typeof unfinishedSchema>;

interface Store {
  get<T>(key: string): T | undefined;
  update(key: string, value: unknown): Thenable<void>;
}

const key = 'glasshead.prompts.unfinished';
const betweenSavesMs = 1000;

export class UnfinishedAnswers {
  readonly #store: Store;
  readonly #now: () => number;
  readonly #answers = new Map<string, UnfinishedAnswer>();
  #savedAt = Number.NEGATIVE_INFINITY;

  constructor(store: Store, now: () => number = () => performance.now()) {
    this.#store = store;
    this.#now = now;
  }

  /** What the last session left behind; told once. */
  async take(): Promise<readonly UnfinishedAnswer[]> {
    const parsed = v.safeParse(v.array(unfinishedSchema), this.#store.get<unknown>(key));
    if (parsed.success && parsed.output.length > 0) await this.#save();
    return parsed.success ? parsed.output : [];
  }

  /** Keeps the newest state; it reaches the disk about once a second. */
  keep(answer: UnfinishedAnswer): void {
    const isNew = !this.#answers.has(answer.id);
    this.#answers.set(answer.id, answer);
    if (isNew || this.#now() - this.#savedAt >= betweenSavesMs) void this.#save();
  }

  drop(id: string): void {
    if (this.#answers.delete(id)) void this.#save();
  }

  async #save(): Promise<void> {
    this.#savedAt = this.#now();
    await this.#store.update(key, [...this.#answers.values()]);
  }
}

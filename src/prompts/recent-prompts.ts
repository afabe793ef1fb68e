/** The prompts that were run last, newest first, each once. */

/** What VS Code calls a Memento. */
interface Store {
  get<T>(key: string): T | undefined;
  update(key: string, value: unknown): Thenable<void>;
}

const key = 'glasshead.prompts.recent';
const mostKept = 30;

export class RecentPrompts {
  readonly #store: Store;

  constructor(store: Store) {
    this.#store = store;
  }

  get all(): readonly string[] {
    const stored = this.#store.get<unknown>(key);
    return Array.isArray(stored) ? stored.filter((prompt) => typeof prompt === 'string') : [];
  }

  async add(prompt: string): Promise<void> {
    await this.#store.update(key, [prompt, ...this.#without(prompt)].slice(0, mostKept));
  }

  async remove(prompt: string): Promise<void> {
    await this.#store.update(key, this.#without(prompt));
  }

  async clear(): Promise<void> {
    await this.#store.update(key, undefined);
  }

  #without(prompt: string): string[] {
    return this.all.filter((other) => other !== prompt);
  }
}

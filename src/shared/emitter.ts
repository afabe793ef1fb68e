/** Listeners of one event, usable where VS Code's own emitter is not. A listener that throws does not stop the others. */

interface Disposable {
  dispose(): void;
}

/** Compatible with `vscode.Event`. */
export type Event<T> = (listener: (value: T) => void) => Disposable;

export class Emitter<T> {
  readonly #listeners = new Set<(value: T) => void>();

  readonly event: Event<T> = (listener) => {
    const own = (value: T) => listener(value); // the same function may listen twice
    this.#listeners.add(own);
    return { dispose: () => void this.#listeners.delete(own) };
  };

  fire(value: T): void {
    for (const listener of [...this.#listeners]) {
      try {
        listener(value);
      } catch (thrown) {
        console.error(thrown);
      }
    }
  }

  dispose(): void {
    this.#listeners.clear();
  }
}

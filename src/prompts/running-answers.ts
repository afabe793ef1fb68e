/** The answers that are being written now: what Escape stops, and the context key that gives Escape that meaning. */
import * as vscode from 'vscode';

export interface RunningAnswer {
  readonly document: vscode.TextDocument | undefined;
  stop(): void;
}

/** True while the active editor is being written to. */
const hereKey = 'glasshead.isGeneratingHere';
/** True while any answer is being written. */
const anyKey = 'glasshead.isGenerating';

export class RunningAnswers implements vscode.Disposable {
  readonly #answers = new Set<RunningAnswer>();
  readonly #disposable = vscode.window.onDidChangeActiveTextEditor(() => this.refresh());
  readonly #told = new Map<string, boolean>();

  add(answer: RunningAnswer): void {
    this.#answers.add(answer);
    this.refresh();
  }

  delete(answer: RunningAnswer): void {
    this.#answers.delete(answer);
    this.refresh();
  }

  /** Also to be called when an answer has found its document. */
  refresh(): void {
    this.#tell(hereKey, this.#inActiveEditor().length > 0);
    this.#tell(anyKey, this.#answers.size > 0);
  }

  /** Those of the active editor, or all when there are none. */
  stop(): void {
    const here = this.#inActiveEditor();
    for (const answer of here.length > 0 ? here : [...this.#answers]) answer.stop();
  }

  dispose(): void {
    for (const answer of [...this.#answers]) answer.stop();
    this.#disposable.dispose();
  }

  #tell(key: string, value: boolean): void {
    if (this.#told.get(key) === value) return;
    this.#told.set(key, value);
    void vscode.commands.executeCommand('setContext', key, value);
  }

  #inActiveEditor(): RunningAnswer[] {
    const active = vscode.window.activeTextEditor?.document;
    return active ? [...this.#answers].filter(({ document }) => document === active) : [];
  }
}

/** Completions on or off per language: the setting, the command that turns it, and the item that shows it. */
import * as vscode from 'vscode';
import { readSettings } from '../platform/settings.ts';

const toggleCommand = 'glasshead.toggleCompletions';

/** An id that is not named follows "*". */
export function isLanguageOn(document: vscode.TextDocument): boolean {
  const { completionLanguages } = readSettings(document);
  return completionLanguages[document.languageId] ?? completionLanguages['*'] ?? true;
}

export class LanguageSwitch implements vscode.Disposable {
  readonly #item = vscode.languages.createLanguageStatusItem('glasshead.completions', { pattern: '**' });
  readonly #disposables: vscode.Disposable;
  readonly #onTurned: (languageId: string, isOn: boolean) => void;

  constructor(onTurned: (languageId: string, isOn: boolean) => void) {
    this.#onTurned = onTurned;
    this.#item.name = 'Glasshead completions';
    this.#disposables = vscode.Disposable.from(
      this.#item,
      vscode.commands.registerCommand(toggleCommand, () => this.#turn()),
      vscode.window.onDidChangeActiveTextEditor(() => this.show()),
      vscode.workspace.onDidChangeConfiguration((event) => {
        if (event.affectsConfiguration('glasshead.completions')) this.show();
      }),
    );
    this.show();
  }

  /** `detail`: what came of the last completion, or why there can be none. */
  show(detail = ''): void {
    const document = vscode.window.activeTextEditor?.document;
    const isOn = document ? isLanguageOn(document) : true;
    this.#item.text = isOn ? 'Inline completions on' : 'Inline completions off';
    this.#item.detail = detail;
    this.#item.command = { title: isOn ? 'Turn Off' : 'Turn On', command: toggleCommand };
  }

  async #turn(): Promise<void> {
    const document = vscode.window.activeTextEditor?.document;
    if (!document)
      return void vscode.window.showInformationMessage(
        'Open a file first: completions are turned on or off for its language.',
      );
    const isOn = !isLanguageOn(document);
    const section = vscode.workspace.getConfiguration('glasshead.completions', document);
    const values = section.inspect<Record<string, boolean>>('languages');
    // Where the user keeps the setting already.
    const isOfWorkspace = values?.workspaceValue?.[document.languageId] !== undefined;
    const [target, own] = isOfWorkspace
      ? [vscode.ConfigurationTarget.Workspace, values?.workspaceValue]
      : [vscode.ConfigurationTarget.Global, values?.globalValue];
    await section.update('languages', { ...own, [document.languageId]: isOn }, target);
    this.show();
    this.#onTurned(document.languageId, isOn);
  }

  dispose(): void {
    this.#disposables.dispose();
  }
}

/**
 * Ghost text in the editor. Each question is answered within 250 ms, with nothing if need be; a completion that comes
 * later is shown by asking the editor to ask again. Why there is none is logged, never notified.
 */
import * as vscode from 'vscode';
import type { Parts } from '../parts.ts';
import { toAbortSignal } from '../platform/abort.ts';
import { readSettings } from '../platform/settings.ts';
import { type CompletionRequest, CompletionSession } from './completion-session.ts';
import { describePlace, refuseDocument, refuseSelections, type Selected } from './editor-place.ts';
import { none, type Suggestion } from './filter.ts';
import { isLanguageOn } from './language-switch.ts';

export interface ProviderOptions {
  /** Told what came of each question. */
  readonly onOutcome: (outcome: string) => void;
  /** Makes the editor take the provider for a new one. */
  readonly renew: () => void;
}

export class CompletionProvider implements vscode.InlineCompletionItemProvider, vscode.Disposable {
  readonly #parts: Parts;
  readonly #session: CompletionSession;
  readonly #options: ProviderOptions;
  /** The last question, to be found again when its answer is late. */
  #selected: Selected | undefined;
  #isExplicit = false;
  readonly #disposables: vscode.Disposable;

  constructor(parts: Parts, options: ProviderOptions) {
    this.#parts = parts;
    this.#options = options;
    this.#session = new CompletionSession({
      engine: parts.engine,
      onLate: (suggestion) => this.#onLate(suggestion),
    });
    this.#disposables = vscode.Disposable.from(
      // Told late, it may be about the editor that was asked for all along.
      vscode.window.onDidChangeActiveTextEditor((editor) => this.#session.moved(editor && this.#placeOf(editor))),
      vscode.window.onDidChangeTextEditorSelection(({ textEditor }) => {
        if (textEditor === vscode.window.activeTextEditor) this.#session.moved(this.#placeOf(textEditor));
      }),
    );
  }

  async provideInlineCompletionItems(
    document: vscode.TextDocument,
    position: vscode.Position,
    context: vscode.InlineCompletionContext,
    token: vscode.CancellationToken,
  ): Promise<vscode.InlineCompletionItem[]> {
    this.#selected = context.selectedCompletionInfo;
    this.#isExplicit = context.triggerKind === vscode.InlineCompletionTriggerKind.Invoke;
    const refused = this.#refuse(document);
    if (refused) this.#session.cancel();
    const request: CompletionRequest = {
      ...describePlace(document, position, this.#selected),
      contextTokens: readSettings(document).completionContextTokens,
      isExplicit: this.#isExplicit,
    };
    const suggestion = refused ? none(refused) : await this.#session.provide(request, toAbortSignal(token));
    this.#report(suggestion);
    if (suggestion.kind === 'none') return [];
    const { range, text } = this.#selected ?? { range: new vscode.Range(position, position), text: '' };
    const end = range.end.translate(0, suggestion.replaces);
    return [new vscode.InlineCompletionItem(text + suggestion.text, new vscode.Range(range.start, end))];
  }

  /** Forgets what was completed so far: the model or the settings are others. */
  clear(): void {
    this.#session.clear();
  }

  dispose(): void {
    this.#session.cancel();
    this.#disposables.dispose();
  }

  #refuse(document: vscode.TextDocument): string | undefined {
    if (!isLanguageOn(document)) return `completions are off for ${document.languageId}`;
    return refuseDocument(document) ?? refuseSelections(document) ?? this.#awaitModel();
  }

  #awaitModel(): string | undefined {
    const { engine } = this.#parts;
    if (engine.state.kind === 'ready') return undefined;
    if (engine.state.kind === 'loading') return 'the model is being loaded';
    if (engine.state.kind === 'failed') return `the engine failed: ${engine.state.error.message}`;
    void engine.start().catch(() => undefined); // its state says what went wrong
    return 'the model is loaded first';
  }

  #onLate(suggestion: Suggestion): void {
    const editor = vscode.window.activeTextEditor;
    const place = editor && this.#placeOf(editor);
    if (suggestion.kind === 'none') return this.#report(suggestion);
    if (!place || this.#session.find(place)?.kind !== 'text') return this.#report(none('the cursor has moved on'));
    // The editor does not ask the same providers twice at one place when it was told to ask there.
    if (this.#isExplicit) this.#options.renew();
    void vscode.commands.executeCommand('editor.action.inlineSuggest.trigger');
  }

  #placeOf(editor: vscode.TextEditor): CompletionRequest | undefined {
    if (editor.selections.length !== 1 || !editor.selection.isEmpty) return undefined;
    const position = editor.selection.active;
    const selected = this.#selected?.range.contains(position) ? this.#selected : undefined;
    return { ...describePlace(editor.document, position, selected), contextTokens: 0, isExplicit: false };
  }

  #report(suggestion: Suggestion): void {
    const outcome =
      suggestion.kind === 'text'
        ? `suggested ${suggestion.text.length} characters`
        : `no suggestion: ${suggestion.reason}`;
    this.#parts.log.info(`Inline completion: ${outcome}`);
    this.#options.onOutcome(outcome);
  }
}

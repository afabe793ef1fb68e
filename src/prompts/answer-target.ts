/** Where an answer goes: a place in a document, or a new untitled editor that opens with the first text. */
import * as vscode from 'vscode';
import { EditorSink } from './editor-sink.ts';
import { StreamWriter, type WriterStop } from './stream-writer.ts';

type Place =
  | { readonly kind: 'untitled'; readonly languageId: string }
  | { readonly kind: 'document'; readonly document: vscode.TextDocument; readonly offset: number };

export class AnswerTarget implements vscode.Disposable {
  readonly #disposables: vscode.Disposable[] = [];
  readonly #onStop = new vscode.EventEmitter<WriterStop>();
  readonly onStop = this.#onStop.event;
  readonly #onOpen = new vscode.EventEmitter<vscode.TextDocument>();
  readonly onOpen = this.#onOpen.event;
  #place: Place;
  #writer: StreamWriter | undefined;
  #document: vscode.TextDocument | undefined;
  #opening: Promise<void> | undefined;
  #early = '';
  #hadTab = false;

  constructor(place: Place) {
    this.#place = place;
    if (place.kind === 'document') this.#attach(place.document, place.offset);
  }

  get document(): vscode.TextDocument | undefined {
    return this.#document;
  }

  get stopped(): WriterStop | undefined {
    return this.#writer?.stopped;
  }

  /** The same text may be told again, into an editor of its own: where the old place is gone. */
  moveToUntitled(languageId: string): void {
    this.#detach();
    this.#place = { kind: 'untitled', languageId };
  }

  write(text: string): void {
    if (text === '') return;
    if (this.#writer) return this.#writer.write(text);
    this.#early += text;
    this.#opening ??= this.#open();
  }

  async finish(): Promise<void> {
    await this.#opening;
    await this.#writer?.finish();
  }

  dispose(): void {
    this.#detach();
    this.#onStop.dispose();
    this.#onOpen.dispose();
  }

  async #open(): Promise<void> {
    if (this.#place.kind !== 'untitled') return;
    const document = await vscode.workspace.openTextDocument({ language: this.#place.languageId, content: '' });
    const isAlone = vscode.window.tabGroups.activeTabGroup.tabs.length === 0;
    const viewColumn = isAlone ? vscode.ViewColumn.Active : vscode.ViewColumn.Beside;
    await vscode.window.showTextDocument(document, { viewColumn, preserveFocus: true, preview: false });
    this.#attach(document, 0);
    const early = this.#early;
    this.#early = '';
    this.#writer?.write(early);
  }

  #attach(document: vscode.TextDocument, offset: number): void {
    const sink = new EditorSink(document, { followsEnd: this.#place.kind === 'untitled' });
    const writer = new StreamWriter(sink, offset, (reason) => this.#onStop.fire(reason));
    this.#document = document;
    this.#writer = writer;
    this.#hadTab = isInTab(document);
    this.#disposables.push(
      vscode.workspace.onDidChangeTextDocument((event) => {
        if (event.document === document) writer.follow(event.contentChanges);
      }),
      vscode.workspace.onDidCloseTextDocument((closed) => {
        if (closed === document) writer.stop('closed');
      }),
      vscode.window.tabGroups.onDidChangeTabs(() => {
        if (isInTab(document)) this.#hadTab = true;
        else if (this.#hadTab) writer.stop('closed');
      }),
      vscode.window.onDidChangeVisibleTextEditors(() => writer.wake()),
    );
    this.#onOpen.fire(document);
  }

  #detach(): void {
    for (const disposable of this.#disposables.splice(0)) disposable.dispose();
    this.#writer = undefined;
    this.#document = undefined;
    this.#opening = undefined;
    this.#early = '';
  }
}

/** Whether any tab shows the document; one that is closed lives on for minutes. */
export function isInTab(document: vscode.TextDocument): boolean {
  const uri = document.uri.toString();
  return vscode.window.tabGroups.all.some(({ tabs }) =>
    tabs.some(({ input }) => {
      if (input instanceof vscode.TabInputText) return input.uri.toString() === uri;
      return (
        input instanceof vscode.TabInputTextDiff && [input.original, input.modified].some((side) => `${side}` === uri)
      );
    }),
  );
}

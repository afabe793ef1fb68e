/**
 * An inspected text in its document: follows it while the document changes around it, paints it while it is still there,
 * and takes the paint off in the moment it is not.
 */
import * as vscode from 'vscode';
import { shiftStart } from '../shared/attention/text-anchor.ts';
import type { Painting, TextPlace } from './inspection.ts';
import type { ShadeStyles } from './shade-styles.ts';

export class DocumentPlace implements TextPlace {
  readonly #uri: string;
  readonly #text: string;
  readonly #styles: ShadeStyles;
  readonly #changed = new vscode.EventEmitter<void>();
  readonly #disposables: vscode.Disposable[];
  #start: number;
  #status: TextPlace['status'] = 'live';
  #painting: Painting | undefined;

  readonly onDidChange = this.#changed.event;

  constructor(document: vscode.TextDocument, range: vscode.Range, styles: ShadeStyles) {
    this.#uri = document.uri.toString();
    this.#text = document.getText(range);
    this.#start = document.offsetAt(range.start);
    this.#styles = styles;
    this.#disposables = [
      this.#changed,
      vscode.workspace.onDidChangeTextDocument((event) => this.#onChange(event)),
      vscode.workspace.onDidCloseTextDocument((closed) => this.#isOurs(closed) && this.#check()),
      vscode.workspace.onDidOpenTextDocument((opened) => this.#isOurs(opened) && this.#check()),
      vscode.window.onDidChangeVisibleTextEditors(() => this.#apply()),
    ];
  }

  get status(): TextPlace['status'] {
    return this.#status;
  }

  dispose(): void {
    this.clear();
    for (const disposable of this.#disposables) disposable.dispose();
  }

  paint(painting: Painting): void {
    this.#check();
    if (this.#status !== 'live') return;
    this.#painting = painting;
    this.#apply();
  }

  clear(): void {
    this.#painting = undefined;
    for (const editor of this.#editors()) this.#styles.clear(editor);
  }

  async reveal(start: number, end: number): Promise<void> {
    const document = this.#status === 'live' ? this.#document() : undefined;
    if (!document) return;
    const range = this.#range(document, start, end);
    let [editor] = this.#editors();
    if (!editor) {
      editor = await vscode.window.showTextDocument(document, { preserveFocus: true, preview: true });
      this.#apply();
    }
    editor.revealRange(range, vscode.TextEditorRevealType.InCenterIfOutsideViewport);
    // The selection's own colour would lie over the shades of the very text that was selected.
    const whole = this.#range(document, 0, this.#text.length);
    if (editor.selection.isEqual(whole)) editor.selection = new vscode.Selection(range.start, range.start);
  }

  cursorOffset(): number | undefined {
    const editor = vscode.window.activeTextEditor;
    if (this.#status !== 'live' || !editor || !this.#isOurs(editor.document)) return undefined;
    const offset = editor.document.offsetAt(editor.selection.active) - this.#start;
    return offset >= 0 && offset <= this.#text.length ? offset : undefined;
  }

  #onChange({ document, contentChanges }: vscode.TextDocumentChangeEvent): void {
    if (!this.#isOurs(document)) return;
    this.#start = shiftStart(this.#start, contentChanges);
    this.#check();
  }

  /** Compares the text with the document, for this alone shows that offsets still mean what they meant. */
  #check(): void {
    const document = this.#document();
    const before = this.#status;
    if (!document) this.#status = 'closed';
    else
      this.#status = document.getText(this.#range(document, 0, this.#text.length)) === this.#text ? 'live' : 'changed';
    if (this.#status !== 'live') this.clear();
    if (this.#status !== before) this.#changed.fire();
  }

  #apply(): void {
    const document = this.#document();
    const painting = this.#painting;
    if (!document || !painting) return;
    const toRange = (start: number, end: number) => this.#range(document, start, end);
    for (const editor of this.#editors()) this.#styles.paint(editor, painting, toRange);
  }

  #range(document: vscode.TextDocument, start: number, end: number): vscode.Range {
    return new vscode.Range(document.positionAt(this.#start + start), document.positionAt(this.#start + end));
  }

  /** By address, for a document is closed and opened again when only its language changes. */
  #document(): vscode.TextDocument | undefined {
    return vscode.workspace.textDocuments.find((document) => !document.isClosed && this.#isOurs(document));
  }

  #editors(): vscode.TextEditor[] {
    return vscode.window.visibleTextEditors.filter(({ document }) => this.#isOurs(document));
  }

  #isOurs(document: vscode.TextDocument): boolean {
    return document.uri.toString() === this.#uri;
  }
}

/** Inserts text into an open document through whichever editor shows it, so that undo steps can be joined. */
import * as vscode from 'vscode';
import type { InsertOptions, InsertOutcome, TextSink } from './stream-writer.ts';

const pauseMs = 40;

export class EditorSink implements TextSink {
  readonly #document: vscode.TextDocument;
  /** Shows the newest line where the end of the document is in view already. */
  readonly #followsEnd: boolean;

  constructor(document: vscode.TextDocument, options: { readonly followsEnd: boolean }) {
    this.#document = document;
    this.#followsEnd = options.followsEnd;
  }

  async insert(offset: number, text: string, options: InsertOptions): Promise<InsertOutcome> {
    if (this.#document.isClosed) return 'refused';
    const { undoStopBefore, undoStopAfter, isLast } = options;
    const editor = vscode.window.visibleTextEditors.find((candidate) => candidate.document === this.#document);
    const position = this.#document.positionAt(offset);
    if (!editor) return isLast ? this.#insertUnseen(position, text) : 'hidden';
    const isEndInView = editor.visibleRanges.at(-1)?.end.isAfterOrEqual(position.with({ character: 0 })) ?? false;
    try {
      const isDone = await editor.edit((edit) => edit.insert(position, text), { undoStopBefore, undoStopAfter });
      if (isDone && this.#followsEnd && isEndInView) {
        const end = this.#document.positionAt(offset + text.length);
        editor.revealRange(new vscode.Range(end, end));
      }
      return isDone ? 'done' : 'again';
    } catch {
      return 'again'; // that editor was closed between the two lines
    }
  }

  pause(): Promise<void> {
    return new Promise((resolve) => setTimeout(resolve, pauseMs));
  }

  /** Works for a document in the background, but is an undo step of its own. */
  async #insertUnseen(position: vscode.Position, text: string): Promise<InsertOutcome> {
    if (text === '') return 'done';
    const edit = new vscode.WorkspaceEdit();
    edit.insert(this.#document.uri, position, text);
    return (await vscode.workspace.applyEdit(edit)) ? 'done' : 'again';
  }
}

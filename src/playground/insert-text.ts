/** Puts a text into the editor that was used last. */
import * as vscode from 'vscode';

export class TextInserter implements vscode.Disposable {
  #last: vscode.TextEditor | undefined = vscode.window.activeTextEditor;
  readonly #listener = vscode.window.onDidChangeActiveTextEditor((editor) => {
    if (editor) this.#last = editor; // a panel in front is no text editor; the last one stays the target
  });

  /** Replaces the selection, or opens a new file when there is no editor. Says where the text went. */
  async insert(text: string): Promise<string> {
    const target = this.#target();
    if (!target) {
      const document = await vscode.workspace.openTextDocument({ content: text });
      await vscode.window.showTextDocument(document, { viewColumn: vscode.ViewColumn.Beside, preview: false });
      return 'Opened in a new file: no editor was open to insert into.';
    }
    const { document, selections, viewColumn } = target;
    const shown = await vscode.window.showTextDocument(document, {
      preview: false,
      ...(viewColumn ? { viewColumn } : {}),
      ...(selections[0] ? { selection: selections[0] } : {}),
    });
    const isDone = await shown.edit((edit) => {
      for (const selection of shown.selections) edit.replace(selection, text);
    });
    const name = vscode.workspace.asRelativePath(document.uri);
    return isDone ? `Inserted into ${name}.` : `${name} cannot be changed; nothing was inserted.`;
  }

  dispose(): void {
    this.#listener.dispose();
  }

  #target(): vscode.TextEditor | undefined {
    const { visibleTextEditors } = vscode.window;
    const last = this.#last;
    const shown = visibleTextEditors.find((editor) => editor === last || editor.document === last?.document);
    if (shown) return shown;
    if (last && !last.document.isClosed) return last; // behind the playground, in the same group
    return visibleTextEditors.find(({ document }) =>
      ['file', 'untitled', 'vscode-remote'].includes(document.uri.scheme),
    );
  }
}

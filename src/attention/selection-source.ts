/** What the user selected, as a text to inspect; or the sentence that says what is missing. */
import * as vscode from 'vscode';
import type { DocumentPlace } from './document-place.ts';
import type { Source } from './inspection.ts';

const howTo = 'Select some text in an editor, then run “Inspect Attention of Selection”.';

export function readSelection(
  createPlace: (document: vscode.TextDocument, range: vscode.Range) => DocumentPlace,
): Source | { readonly hint: string } {
  const editor = vscode.window.activeTextEditor;
  if (!editor) return { hint: `No text editor is open. ${howTo}` };
  const filled = editor.selections.filter((selection) => !selection.isEmpty);
  const [first] = filled;
  if (!first) return { hint: `Nothing is selected. ${howTo}` };
  const { document } = editor;
  const range = new vscode.Range(first.start, first.end);
  const [, second] = filled;
  const notes = filled.length > 1 ? [`There are ${filled.length} selections; the first is what the model reads.`] : [];
  return {
    title: titleOf(document, range),
    input: { kind: 'text', text: document.getText(range) },
    notes,
    ...(second && { target: document.getText(second) }),
    place: createPlace(document, range),
  };
}

function titleOf(document: vscode.TextDocument, { start, end }: vscode.Range): string {
  const name = document.uri.path.split('/').pop() || document.uri.toString();
  // A selection that ends where a line begins has nothing of that line.
  const last = end.character === 0 && end.line > start.line ? end.line - 1 : end.line;
  const [from, to] = [start.line + 1, last + 1];
  return from === to ? `${name}, line ${from}` : `${name}, lines ${from}–${to}`;
}

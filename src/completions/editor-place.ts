/** What the model may know of a place in a document, and why nothing can be suggested in some documents. */
import * as vscode from 'vscode';
import type { CompletionRequest } from './completion-session.ts';

/** More text than any context of completions holds. */
const prefixCharacters = 12_000;
const suffixCharacters = 2_000;

/** The text as it would be with the item that the suggest widget has selected. */
export interface Selected {
  readonly range: vscode.Range;
  readonly text: string;
}

export function describePlace(
  document: vscode.TextDocument,
  position: vscode.Position,
  selected?: Selected,
): Pick<CompletionRequest, 'document' | 'prefix' | 'suffix'> {
  const from = selected?.range.start ?? position;
  const selectedEnd = selected?.range.end;
  const to = selectedEnd?.isAfter(position) ? selectedEnd : position;
  const [start, end] = [document.offsetAt(from), document.offsetAt(to)];
  const textBetween = (first: number, last: number) =>
    withLineFeeds(document.getText(new vscode.Range(document.positionAt(first), document.positionAt(last))));
  const before = textBetween(Math.max(0, start - prefixCharacters), start) + withLineFeeds(selected?.text ?? '');
  return {
    document: document.uri.toString(),
    prefix: (cellsBefore(document) + before).slice(-prefixCharacters),
    suffix: textBetween(end, end + suffixCharacters),
  };
}

/** The code cells above, as if the notebook were one file. */
function cellsBefore(document: vscode.TextDocument): string {
  if (document.uri.scheme !== 'vscode-notebook-cell') return '';
  const notebook = vscode.workspace.notebookDocuments.find((one) => one.uri.path === document.uri.path);
  const cells = notebook?.getCells() ?? [];
  const own = cells.find((cell) => cell.document === document);
  if (!own) return '';
  return cells
    .slice(0, own.index)
    .filter((cell) => cell.kind === own.kind && cell.document.languageId === document.languageId)
    .map((cell) => `${withLineFeeds(cell.document.getText()).slice(-prefixCharacters)}\n\n`)
    .join('');
}

function withLineFeeds(text: string): string {
  return text.replace(/\r\n?/g, '\n');
}

/** Why no text can be typed in this document, as far as an extension can know. */
export function refuseDocument(document: vscode.TextDocument): string | undefined {
  const { scheme } = document.uri;
  if (['output', 'git', 'vscode-settings', 'vscode-terminal', 'walkThroughSnippet', 'search-editor'].includes(scheme))
    return `documents of the kind "${scheme}" are not completed`;
  if (vscode.workspace.fs.isWritableFileSystem(scheme) === false) return 'the document is read-only';
  return undefined;
}

/** Why nothing can be suggested with the cursors of this document as they are. */
export function refuseSelections(document: vscode.TextDocument): string | undefined {
  const editor = vscode.window.visibleTextEditors.find((one) => one.document === document);
  return editor && editor.selections.length > 1 ? 'there are several cursors' : undefined;
}

/** The command Generate Code Here…: an instruction, or the comment above the cursor, becomes code at the cursor. */
import * as v from 'valibot';
import * as vscode from 'vscode';
import { AppError } from '../shared/app-error.ts';
import { samplingSchema } from '../shared/sampling-settings.ts';
import { AnswerTarget } from './answer-target.ts';
import { createCodeTransform } from './answer-transforms.ts';
import { readCommentAbove } from './comment-above.ts';
import { findInsertionPlace, type InsertionPlace } from './insertion-place.ts';
import { buildGeneratePrompt } from './prompt-building.ts';
import type { PromptCommands } from './prompt-commands.ts';

const argumentSchema = v.object({
  instruction: v.string(),
  sampling: v.optional(v.partial(samplingSchema)),
});

export async function generateHere(commands: PromptCommands, argument: unknown): Promise<string | undefined> {
  const parsed = v.safeParse(argumentSchema, argument);
  const editor = vscode.window.activeTextEditor;
  const refusal = await findRefusal(editor);
  if (!editor || refusal !== undefined) {
    if (parsed.success) throw new AppError('bad-input', refusal ?? '');
    void vscode.window.showInformationMessage(refusal ?? '');
    return undefined;
  }
  const { document } = editor;
  const comment = readCommentAbove(linesBefore(document, editor.selection.active), document.languageId);
  const instruction = parsed.success ? parsed.output.instruction.trim() || comment : await askInstruction(comment);
  if (instruction === undefined) {
    if (parsed.success) throw new AppError('bad-input', 'Say what to generate, or write it in a comment above.');
    return undefined;
  }
  const cursor = editor.selection.active; // it may have moved while the question was open
  const place = placeAt(editor, cursor);
  const before = linesBefore(document, cursor).join('\n');
  const { languageId } = document;
  const { systemPrompt } = commands.settings();
  return commands.answer({
    title: 'Generating (Escape stops)',
    material: instruction,
    build: (text) => buildGeneratePrompt({ instruction: text, before, languageId, systemPrompt }),
    sampling: parsed.success ? (parsed.output.sampling ?? {}) : {},
    isAutomated: parsed.success,
    target: new AnswerTarget({ kind: 'document', document, offset: document.offsetAt(cursor) }),
    createTransform: (built) => createCodeTransform(built, place),
  });
}

async function findRefusal(editor: vscode.TextEditor | undefined): Promise<string | undefined> {
  if (!editor) return 'No editor is open. Put the cursor where the code should go, then run this again.';
  const { uri } = editor.document;
  if (await isReadOnly(uri)) {
    const name = uri.path.split('/').at(-1);
    return `${name} is read-only, so nothing can be generated into it. Copy what you need into a new file first.`;
  }
  return undefined;
}

/** What can be known before writing; an editor that is locked otherwise refuses the first edit. */
async function isReadOnly(uri: vscode.Uri): Promise<boolean> {
  if (uri.scheme === 'untitled') return false;
  if (vscode.workspace.fs.isWritableFileSystem(uri.scheme) === false) return true;
  try {
    const { permissions } = await vscode.workspace.fs.stat(uri);
    return permissions === vscode.FilePermission.Readonly;
  } catch {
    return false; // not on disk yet, or not a file
  }
}

const mostLines = 200;

function linesBefore(document: vscode.TextDocument, cursor: vscode.Position): string[] {
  const first = Math.max(0, cursor.line - mostLines);
  const text = document.getText(new vscode.Range(first, 0, cursor.line, cursor.character));
  return text.split(/\r?\n/);
}

function placeAt(editor: vscode.TextEditor, cursor: vscode.Position): InsertionPlace {
  const { document, options } = editor;
  const lines = linesBefore(document, cursor);
  const above = lines.slice(0, -1).findLast((line) => line.trim() !== '');
  const tabSize = typeof options.indentSize === 'number' ? options.indentSize : Number(options.tabSize) || 4;
  return findInsertionPlace({
    beforeOnLine: lines.at(-1) ?? '',
    lineAbove: above ?? '',
    languageId: document.languageId,
    unit: options.insertSpaces === false ? '\t' : ' '.repeat(tabSize),
    eol: document.eol === vscode.EndOfLine.CRLF ? '\r\n' : '\n',
  });
}

function askInstruction(comment: string | undefined): Thenable<string | undefined> {
  return vscode.window.showInputBox({
    title: 'Generate Code Here',
    prompt: comment === undefined ? 'What should the code do?' : 'Taken from the comment above the cursor',
    placeHolder: 'Sort the rows by date, newest first',
    ignoreFocusOut: true,
    ...(comment === undefined ? {} : { value: comment }),
    validateInput: (value) => (value.trim() === '' ? 'Type what the code should do.' : undefined),
  });
}

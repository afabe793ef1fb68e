/** A picture to inspect: the file that a menu of the Explorer was opened on, or one that the user chooses. */
import * as vscode from 'vscode';
import { AppError } from '../shared/app-error.ts';
import type { Source } from './inspection.ts';

/** What Chromium decodes; the menus of package.json name the same. */
const extensions = ['png', 'jpg', 'jpeg', 'webp', 'gif', 'bmp', 'avif'];

/** Undefined when the user chose none. @throws AppError `bad-input` when the file cannot be read. */
export async function readPicture(argument: unknown): Promise<Source | undefined> {
  const file = argument instanceof vscode.Uri ? argument : await chooseFile();
  if (!file) return undefined;
  const title = file.path.split('/').pop() || file.toString();
  try {
    // A copy of its own: what the file system gives may be a view of something larger.
    const bytes = new Uint8Array(await vscode.workspace.fs.readFile(file));
    return { title, input: { kind: 'picture', bytes }, notes: [] };
  } catch (cause) {
    throw new AppError('bad-input', `The picture ${title} cannot be read. Choose another file.`, { cause });
  }
}

async function chooseFile(): Promise<vscode.Uri | undefined> {
  const chosen = await vscode.window.showOpenDialog({
    canSelectMany: false,
    filters: { Pictures: extensions },
    title: 'Inspect Attention of Image',
    openLabel: 'Inspect',
  });
  return chosen?.[0];
}

/** What an answer says to the user, each thing once: questions, offers, failures. */
import * as vscode from 'vscode';

/** False also when the answer is cancelled before the question is answered. */
export async function askToCut(message: string, signal: AbortSignal): Promise<boolean> {
  const cut = 'Cut the Start and Run';
  const cancelledFirst = new Promise<undefined>((resolve) =>
    signal.addEventListener('abort', () => resolve(undefined), { once: true }),
  );
  return (await Promise.race([vscode.window.showWarningMessage(message, cut), cancelledFirst])) === cut;
}

/** Tells something after which the text is not, or not wholly, where it should be. */
export async function offerText(message: string, text: string, languageId: string): Promise<void> {
  if (text === '') return void vscode.window.showInformationMessage(message);
  const show = 'Show Answer';
  const kept = `${message} The answer so far is kept.`;
  if ((await vscode.window.showInformationMessage(kept, show)) !== show) return;
  const document = await vscode.workspace.openTextDocument({ language: languageId, content: text });
  await vscode.window.showTextDocument(document, { viewColumn: vscode.ViewColumn.Beside, preview: false });
}

export function sayEdited(): void {
  vscode.window.setStatusBarMessage('Glasshead: stopped, because the generated text was edited.', 8000);
}

/** True when the user wants another try. */
export async function askToRetry(message: string): Promise<boolean> {
  const retry = 'Retry';
  const showLog = 'Show Log';
  const choice = await vscode.window.showErrorMessage(message, retry, showLog);
  if (choice === showLog) await vscode.commands.executeCommand('glasshead.showLog');
  return choice === retry;
}

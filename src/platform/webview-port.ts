/** A Port over a webview: closes when the webview is disposed. */
import type * as vscode from 'vscode';
import { AppError } from '../shared/app-error.ts';
import type { Port } from '../shared/peer.ts';

export function createWebviewPort(view: vscode.WebviewView | vscode.WebviewPanel): Port {
  const disposables: vscode.Disposable[] = [];
  return {
    post: (message) => void view.webview.postMessage(message),
    listen: (onMessage, onClose) => {
      disposables.push(
        view.webview.onDidReceiveMessage(onMessage),
        view.onDidDispose(() => onClose(new AppError('engine-died', 'The view was closed.'))),
      );
    },
    close: () => {
      for (const disposable of disposables.splice(0)) disposable.dispose();
    },
  };
}

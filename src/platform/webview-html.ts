/** The page of ours that a webview shows, and the folders that it may read. */
import * as vscode from 'vscode';
import { type PageContent, renderPageHtml } from './page-html.ts';

export interface PageOptions extends PageContent {
  readonly extensionUri: vscode.Uri;
}

export function pageRoots(extensionUri: vscode.Uri): vscode.Uri[] {
  return [vscode.Uri.joinPath(extensionUri, 'dist', 'webview'), vscode.Uri.joinPath(extensionUri, 'media')];
}

export function renderPage(webview: vscode.Webview, { extensionUri, ...content }: PageOptions): string {
  return renderPageHtml({
    ...content,
    cspSource: webview.cspSource,
    address: (...path) => webview.asWebviewUri(vscode.Uri.joinPath(extensionUri, ...path)).toString(),
  });
}

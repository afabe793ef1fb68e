/** The Model view: lays the page that is the engine's home, again when it no longer answers, and gives it to the engine. */
import * as vscode from 'vscode';
import type { EngineClient } from '../engine/engine-client.ts';
import { pageRoots, renderPage } from '../platform/webview-html.ts';
import { createWebviewPort } from '../platform/webview-port.ts';

export const modelViewId = 'glasshead.model';

export interface ModelViewOptions {
  readonly extensionUri: vscode.Uri;
  /** Folder of the user's own model, when one is chosen: the page must be allowed to read it. */
  readonly modelFolder: () => vscode.Uri | undefined;
  readonly attach: EngineClient['attach'];
}

export class ModelView implements vscode.WebviewViewProvider {
  readonly #options: ModelViewOptions;
  #view: vscode.WebviewView | undefined;

  constructor(options: ModelViewOptions) {
    this.#options = options;
  }

  resolveWebviewView(view: vscode.WebviewView): void {
    this.#view = view;
    view.onDidDispose(() => {
      if (this.#view === view) this.#view = undefined;
    });
    this.#lay(view);
  }

  /** Starts the page: shows the view without taking the focus, or lays its page again when it has one. */
  async open(): Promise<void> {
    if (this.#view) this.#lay(this.#view);
    else await this.show({ preserveFocus: true });
  }

  async show(options: { readonly preserveFocus: boolean }): Promise<void> {
    await vscode.commands.executeCommand(`${modelViewId}.focus`, options);
  }

  /** An address of the model's file that the page can fetch. */
  addressOf(file: vscode.Uri): string {
    if (!this.#view) throw new Error('The Model view is closed.');
    return this.#view.webview.asWebviewUri(file).toString();
  }

  #lay(view: vscode.WebviewView): void {
    const { extensionUri, modelFolder, attach } = this.#options;
    const folder = modelFolder();
    view.webview.options = {
      enableScripts: true,
      localResourceRoots: [...pageRoots(extensionUri), ...(folder ? [folder] : [])],
    };
    attach(createWebviewPort(view));
    const dist = view.webview.asWebviewUri(vscode.Uri.joinPath(extensionUri, 'dist', 'webview')).toString();
    view.webview.html = renderPage(view.webview, {
      extensionUri,
      page: 'model',
      title: 'Glasshead Model',
      isEngineHome: true,
      data: { dist },
    });
  }
}

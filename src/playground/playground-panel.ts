/** The playground's editor tab: its page, and its end of their conversation. There is one tab; opening it again shows it. */
import * as vscode from 'vscode';
import { pageRoots, renderPage } from '../platform/webview-html.ts';
import { createWebviewPort } from '../platform/webview-port.ts';
import type { EngineState } from '../shared/engine-state.ts';
import { type Handlers, Peer } from '../shared/peer.ts';
import { type Opening, playgroundHostContract, playgroundPageContract } from '../shared/playground-contract.ts';

export const playgroundViewType = 'glasshead.playground';

type PagePeer = Peer<typeof playgroundHostContract, typeof playgroundPageContract>;

export interface PlaygroundPanelOptions {
  readonly extensionUri: vscode.Uri;
  /** `takeOpening` gives the messages that the page is to start with, once. */
  readonly handlers: (takeOpening: () => Opening | undefined) => Handlers<typeof playgroundHostContract>;
  readonly onFault: (fault: string) => void;
}

export class PlaygroundPanel implements vscode.WebviewPanelSerializer, vscode.Disposable {
  readonly #options: PlaygroundPanelOptions;
  #shown: { readonly panel: vscode.WebviewPanel; readonly peer: PagePeer } | undefined;
  #opening: Opening | undefined;

  constructor(options: PlaygroundPanelOptions) {
    this.#options = options;
  }

  /** Shows the tab; with messages, it starts a new conversation and keeps the one in view among the recent ones. */
  async open(opening: Opening | undefined): Promise<void> {
    if (this.#shown) {
      this.#shown.panel.reveal();
      if (opening) await this.#shown.peer.call('open', opening);
      return;
    }
    this.#opening = opening;
    const panel = vscode.window.createWebviewPanel(playgroundViewType, 'Playground', vscode.ViewColumn.Active, {
      retainContextWhenHidden: true,
    });
    this.#fill(panel);
  }

  /** After a reload of the window. What was in the page is with the page: VS Code kept it. */
  async deserializeWebviewPanel(panel: vscode.WebviewPanel): Promise<void> {
    this.#shown?.panel.dispose();
    this.#fill(panel);
  }

  /** Tells the page; one that is still on its way asks. */
  setEngine(state: EngineState): void {
    this.#shown?.peer.call('engineState', state).catch(() => {});
  }

  dispose(): void {
    this.#shown?.peer.close();
  }

  #fill(panel: vscode.WebviewPanel): void {
    const { extensionUri, handlers, onFault } = this.#options;
    panel.webview.options = { enableScripts: true, localResourceRoots: pageRoots(extensionUri) };
    panel.iconPath = new vscode.ThemeIcon('comment-discussion');
    const takeOpening = () => {
      const opening = this.#opening;
      this.#opening = undefined;
      return opening;
    };
    const peer: PagePeer = new Peer({
      port: createWebviewPort(panel),
      serves: playgroundHostContract,
      calls: playgroundPageContract,
      handlers: handlers(takeOpening),
      onFault,
    });
    this.#shown = { panel, peer };
    panel.onDidDispose(() => {
      if (this.#shown?.panel === panel) this.#shown = undefined;
    });
    panel.webview.html = renderPage(panel.webview, { extensionUri, page: 'playground', title: 'Playground' });
  }
}

/** The Attention side panel: the page, and its conversation with the controller. */
import * as vscode from 'vscode';
import { pageRoots, renderPage } from '../platform/webview-html.ts';
import { createWebviewPort } from '../platform/webview-port.ts';
import { attentionHostContract, attentionPageContract, type PanelState } from '../shared/attention-contract.ts';
import { type Handlers, Peer } from '../shared/peer.ts';

const viewId = 'glasshead.attention';

type PagePeer = Peer<typeof attentionHostContract, typeof attentionPageContract>;

export class AttentionView implements vscode.WebviewViewProvider {
  readonly #extensionUri: vscode.Uri;
  readonly #handlers: Handlers<typeof attentionHostContract>;
  readonly #onFault: (fault: string) => void;
  #peer: PagePeer | undefined;

  constructor(
    extensionUri: vscode.Uri,
    handlers: Handlers<typeof attentionHostContract>,
    onFault: (fault: string) => void,
  ) {
    this.#extensionUri = extensionUri;
    this.#handlers = handlers;
    this.#onFault = onFault;
  }

  register(): vscode.Disposable {
    // The controller holds the whole state, so a hidden page may go.
    return vscode.window.registerWebviewViewProvider(viewId, this);
  }

  resolveWebviewView(view: vscode.WebviewView): void {
    const { webview } = view;
    webview.options = { enableScripts: true, localResourceRoots: pageRoots(this.#extensionUri) };
    const peer: PagePeer = new Peer({
      port: createWebviewPort(view),
      serves: attentionHostContract,
      calls: attentionPageContract,
      handlers: this.#handlers,
      onFault: this.#onFault,
    });
    this.#peer = peer;
    view.onDidDispose(() => {
      if (this.#peer === peer) this.#peer = undefined;
    });
    webview.html = renderPage(webview, { extensionUri: this.#extensionUri, page: 'attention', title: 'Attention' });
  }

  /** Shows the panel and leaves the focus where it is. */
  async reveal(): Promise<void> {
    await vscode.commands.executeCommand(`${viewId}.focus`, { preserveFocus: true });
  }

  /** A page that is not there asks `ready` when it comes. */
  post(state: PanelState): void {
    this.#peer?.call('state', state).catch(() => {});
  }
}

/** What the extension hands to each of its features. */
import type * as vscode from 'vscode';
import type { EngineClient } from './engine/engine-client.ts';
import type { Log } from './platform/log.ts';

export interface Parts {
  readonly context: vscode.ExtensionContext;
  readonly log: Log;
  readonly engine: EngineClient;
}

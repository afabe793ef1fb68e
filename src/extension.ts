/** Builds the parts, registers the features and returns: no logic, no engine start. */
import type * as vscode from 'vscode';
import { registerAttention } from './attention/register.ts';
import { registerCompletions } from './completions/register.ts';
import { createEngine } from './models/create-engine.ts';
import { registerModels } from './models/register.ts';
import type { Parts } from './parts.ts';
import { createLog } from './platform/log.ts';
import { registerPlayground } from './playground/register.ts';
import { registerPrompts } from './prompts/register.ts';

export function activate(context: vscode.ExtensionContext): void {
  const log = createLog();
  const engine = createEngine(context, log);
  const parts: Parts = { context, log, engine };
  context.subscriptions.push(
    log,
    engine,
    registerModels(parts),
    registerPrompts(parts),
    registerCompletions(parts),
    registerPlayground(parts),
    registerAttention(parts),
  );
}

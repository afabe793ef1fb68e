/** Registers the prompts feature; disposing the result takes it all back. */
import * as vscode from 'vscode';
import type { Parts } from '../parts.ts';
import { readSettings } from '../platform/settings.ts';
import { generateHere } from './generate-here.ts';
import { PromptCommands } from './prompt-commands.ts';
import { RecentPrompts } from './recent-prompts.ts';
import { runPromptOnSelection } from './run-on-selection.ts';
import { runPrompt } from './run-prompt.ts';
import { RunningAnswers } from './running-answers.ts';
import { UnfinishedAnswers } from './unfinished-answers.ts';

export function registerPrompts({ context, log, engine }: Parts): vscode.Disposable {
  const running = new RunningAnswers();
  const unfinished = new UnfinishedAnswers(context.workspaceState);
  const recent = new RecentPrompts(context.globalState);
  const settings = () => readSettings(vscode.window.activeTextEditor?.document).prompts;
  const commands = new PromptCommands({ engine, log, running, unfinished }, recent, settings);
  void offerUnfinished(commands, unfinished);
  const register = vscode.commands.registerCommand;
  return vscode.Disposable.from(
    running,
    register('glasshead.runPrompt', (argument: unknown) => runPrompt(commands, argument)),
    register('glasshead.runPromptOnSelection', (argument: unknown) => runPromptOnSelection(commands, argument)),
    register('glasshead.generateHere', (argument: unknown) => generateHere(commands, argument)),
    register('glasshead.stopGenerating', () => running.stop()),
  );
}

/** After a reload in the middle of answers. */
async function offerUnfinished(commands: PromptCommands, unfinished: UnfinishedAnswers): Promise<void> {
  for (const answer of await unfinished.take()) {
    const message = `The window was reloaded in the middle of "${answer.title}". The answer so far is kept.`;
    void vscode.window.showInformationMessage(message, 'Retry').then((choice) => {
      if (choice === 'Retry') return commands.resume(answer);
      return undefined;
    });
  }
}

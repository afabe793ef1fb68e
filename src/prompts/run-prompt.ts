/** The command Run Prompt…: asks for a prompt, or takes it from its argument, and answers in a new editor. */
import * as v from 'valibot';
import * as vscode from 'vscode';
import { AppError } from '../shared/app-error.ts';
import { samplingSchema } from '../shared/sampling-settings.ts';
import { askPrompt } from './prompt-box.ts';
import { buildPrompt } from './prompt-building.ts';
import type { PromptCommands } from './prompt-commands.ts';

/** For automation: `executeCommand('glasshead.runPrompt', {prompt})` resolves with the answer. */
const argumentSchema = v.object({
  prompt: v.string(),
  sampling: v.optional(v.partial(samplingSchema)),
  /** Told of the answer while it is written; for callers in the same extension host. */
  onText: v.optional(v.function()),
});

export async function runPrompt(commands: PromptCommands, argument: unknown): Promise<string | undefined> {
  const parsed = v.safeParse(argumentSchema, argument);
  if (!parsed.success) return askAndRun(commands);
  const { prompt, sampling = {}, onText } = parsed.output;
  if (prompt.trim() === '') throw new AppError('bad-input', 'The prompt is empty. Say what the model should do.');
  return commands.answer({
    title: 'Run Prompt',
    material: prompt,
    build: (text) => buildPrompt(text, { systemPrompt: commands.settings().systemPrompt }),
    sampling,
    isAutomated: true,
    onText: onText as ((text: string) => void) | undefined,
  });
}

async function askAndRun(commands: PromptCommands): Promise<string | undefined> {
  const editor = vscode.window.activeTextEditor;
  const selection = editor && !editor.selection.isEmpty ? editor.document.getText(editor.selection) : '';
  const languageId = editor?.document.languageId ?? 'plaintext';
  const prompt = await askPrompt(commands.recent, selection === '' ? undefined : { of: 2 });
  if (prompt === undefined) return undefined;
  const material = selection === '' ? '' : await askMaterial(selection);
  if (material === undefined) return undefined;
  await commands.recent.add(prompt);
  const { systemPrompt } = commands.settings();
  return commands.answer({
    title: 'Run Prompt',
    material: material === '' ? prompt : material,
    build: (text) =>
      material === ''
        ? buildPrompt(text, { systemPrompt })
        : buildPrompt(prompt, { systemPrompt, material: text, languageId }),
    sampling: {},
    isAutomated: false,
  });
}

/** The selection, an empty text for the prompt alone, or undefined when the user left. */
async function askMaterial(selection: string): Promise<string | undefined> {
  const lines = selection.split('\n').length;
  const items = [
    { label: '$(comment) The prompt alone', material: '' },
    {
      label: '$(selection) With the selection',
      detail: lines === 1 ? '1 line' : `${lines} lines`,
      material: selection,
    },
  ];
  const options = { title: 'Run Prompt (2/2)', placeHolder: 'What should the model read?' };
  return (await vscode.window.showQuickPick(items, options))?.material;
}

/** The command Run Prompt on Selection…: an instruction, with the selection as its material. */
import * as v from 'valibot';
import * as vscode from 'vscode';
import { AppError } from '../shared/app-error.ts';
import { samplingSchema } from '../shared/sampling-settings.ts';
import { findInstruction, type Instruction, instructions } from './instructions.ts';
import { isProse, nameLanguage } from './language-names.ts';
import { buildSelectionPrompt } from './prompt-building.ts';
import type { PromptCommands } from './prompt-commands.ts';

const argumentSchema = v.object({
  instruction: v.picklist(instructions.map(({ id }) => id)),
  /** The language to translate into, or what to do with `custom`. */
  argument: v.optional(v.string()),
  sampling: v.optional(v.partial(samplingSchema)),
});

export async function runPromptOnSelection(commands: PromptCommands, argument: unknown): Promise<string | undefined> {
  const editor = vscode.window.activeTextEditor;
  const parsed = v.safeParse(argumentSchema, argument);
  const material = editor?.document.getText(editor.selection) ?? '';
  if (!editor || material.trim() === '') {
    const message = 'Nothing is selected. Select what the model should read.';
    if (parsed.success) throw new AppError('bad-input', message);
    void vscode.window.showInformationMessage(message);
    return undefined;
  }
  const { languageId } = editor.document;
  const chosen = parsed.success
    ? { instruction: findInstruction(parsed.output.instruction), argument: parsed.output.argument ?? '' }
    : await chooseInstruction(languageId);
  const instruction = chosen?.instruction;
  if (!instruction) return undefined;
  if (instruction.argument && chosen.argument.trim() === '')
    throw new AppError('bad-input', `"${instruction.label}" needs an argument: ${instruction.argument.title}.`);
  const { systemPrompt } = commands.settings();
  return commands.answer({
    title: instruction.label.replace('…', ''),
    material,
    build: (text) =>
      buildSelectionPrompt({ instruction, argument: chosen.argument, material: text, languageId, systemPrompt }),
    sampling: parsed.success ? (parsed.output.sampling ?? {}) : {},
    isAutomated: parsed.success,
  });
}

interface Choice {
  readonly instruction: Instruction;
  readonly argument: string;
}

async function chooseInstruction(languageId: string): Promise<Choice | undefined> {
  const items = instructions.map((instruction) => ({
    label: `$(${instruction.icon}) ${instruction.label}`,
    description: isProse(languageId)
      ? instruction.detail.replace(' in the same language', '')
      : instruction.detail.replace('the same language', nameLanguage(languageId)),
    instruction,
  }));
  const options = { title: 'Run Prompt on Selection', placeHolder: 'What should the model do with the selection?' };
  const instruction = (await vscode.window.showQuickPick(items, options))?.instruction;
  if (!instruction) return undefined;
  if (!instruction.argument) return { instruction, argument: '' };
  const { title, placeholder } = instruction.argument;
  const argument = await vscode.window.showInputBox({
    title,
    placeHolder: placeholder,
    ignoreFocusOut: true,
    validateInput: (value) => (value.trim() === '' ? 'Type something first.' : undefined),
  });
  return argument === undefined ? undefined : { instruction, argument };
}

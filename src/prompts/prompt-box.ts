/** The quick input of Run Prompt: type a prompt, or take a recent one, to run, to change or to remove it. */
import * as vscode from 'vscode';
import type { RecentPrompts } from './recent-prompts.ts';

interface PromptItem extends vscode.QuickPickItem {
  readonly prompt: string;
}

const runAgain = 'Enter runs it';

/** Resolves with the prompt, or undefined when the user left. */
export function askPrompt(recent: RecentPrompts, step?: { readonly of: number }): Promise<string | undefined> {
  const edit = { iconPath: new vscode.ThemeIcon('edit'), tooltip: 'Change It First' };
  const remove = { iconPath: new vscode.ThemeIcon('trash'), tooltip: 'Remove from Recent Prompts' };
  const clear = { iconPath: new vscode.ThemeIcon('clear-all'), tooltip: 'Remove All Recent Prompts' };
  const box = vscode.window.createQuickPick<PromptItem>();
  box.title = 'Run Prompt';
  box.placeholder = 'Type what the model should do, or choose a recent prompt';
  box.ignoreFocusOut = true;
  if (step) {
    box.step = 1;
    box.totalSteps = step.of;
  }

  const refresh = () => {
    const typed = box.value.trim();
    const items: PromptItem[] = [];
    if (typed !== '' && !recent.all.includes(typed))
      items.push({ label: `$(play) ${shorten(typed)}`, description: runAgain, prompt: typed, alwaysShow: true });
    if (recent.all.length > 0)
      items.push({ label: 'Recent prompts', kind: vscode.QuickPickItemKind.Separator, prompt: '' });
    items.push(
      ...recent.all.map((prompt) => ({
        label: shorten(prompt),
        prompt,
        buttons: [edit, remove],
        iconPath: new vscode.ThemeIcon('history'),
      })),
    );
    box.items = items;
    box.buttons = recent.all.length > 0 ? [clear] : [];
  };

  return new Promise((resolve) => {
    const finish = (prompt: string | undefined) => {
      resolve(prompt);
      box.dispose();
    };
    box.onDidChangeValue(refresh);
    box.onDidAccept(() => {
      const prompt = box.selectedItems[0]?.prompt ?? box.value.trim();
      if (prompt !== '') return finish(prompt);
      box.title = 'Run Prompt: type something first';
    });
    box.onDidTriggerItemButton(({ item, button }) => {
      if (button === remove) return void recent.remove(item.prompt).then(refresh);
      box.value = item.prompt;
      refresh();
    });
    box.onDidTriggerButton(() => void recent.clear().then(refresh));
    box.onDidHide(() => finish(undefined));
    refresh();
    box.show();
  });
}

const mostShown = 120;

function shorten(prompt: string): string {
  const line = prompt.replace(/\s+/g, ' ');
  return line.length > mostShown ? `${line.slice(0, mostShown - 1)}…` : line;
}

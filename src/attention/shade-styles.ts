/** The decorations of attention shading: one type a level, one for the token asked about, never more. */
import * as vscode from 'vscode';
import { levelCount } from '../shared/attention/levels.ts';
import type { Painting } from './inspection.ts';

export class ShadeStyles implements vscode.Disposable {
  readonly #levels = Array.from({ length: levelCount }, (_, index) => createLevel(index + 1));
  readonly #mark = vscode.window.createTextEditorDecorationType({
    outline: '1px solid',
    outlineColor: new vscode.ThemeColor('glasshead.attentionToken'),
    overviewRulerColor: new vscode.ThemeColor('glasshead.attentionToken'),
    overviewRulerLane: vscode.OverviewRulerLane.Full,
    rangeBehavior: vscode.DecorationRangeBehavior.ClosedClosed,
  });

  paint(editor: vscode.TextEditor, painting: Painting, toRange: (start: number, end: number) => vscode.Range): void {
    const byLevel: vscode.DecorationOptions[][] = this.#levels.map(() => []);
    for (const { start, end, level, hover } of painting.shades)
      byLevel[level - 1]?.push({ range: toRange(start, end), hoverMessage: toMarkdown(hover) });
    this.#levels.forEach((type, index) => {
      editor.setDecorations(type, byLevel[index] ?? []);
    });
    const { start, end, hover } = painting.mark;
    const marks = end > start ? [{ range: toRange(start, end), hoverMessage: toMarkdown(hover) }] : [];
    editor.setDecorations(this.#mark, marks);
  }

  clear(editor: vscode.TextEditor): void {
    for (const type of [...this.#levels, this.#mark]) editor.setDecorations(type, []);
  }

  dispose(): void {
    for (const type of [...this.#levels, this.#mark]) type.dispose();
  }
}

function createLevel(level: number): vscode.TextEditorDecorationType {
  const color = new vscode.ThemeColor(`glasshead.attentionLevel${level}`);
  return vscode.window.createTextEditorDecorationType({
    backgroundColor: color,
    overviewRulerColor: color,
    overviewRulerLane: vscode.OverviewRulerLane.Center,
    rangeBehavior: vscode.DecorationRangeBehavior.ClosedClosed,
  });
}

/** The user's own text stands in it, so nothing in it is markup. `appendText` would glue all words with no-break spaces. */
function toMarkdown(text: string): vscode.MarkdownString {
  const escaped = text.replace(/[!-/:-@[-`{-~]/g, '\\$&').replaceAll('\n', '\n\n');
  return new vscode.MarkdownString(escaped);
}

/** Conversations of the playground on disk, one file each, so that a closed tab loses nothing. The newest are kept. */
import * as v from 'valibot';
import * as vscode from 'vscode';
import { type Draft, type DraftSummary, draftSchema } from '../shared/playground-contract.ts';

const keptDrafts = 20;
const titleLength = 80;

export class DraftStore {
  readonly #folder: vscode.Uri;
  /** Writes wait for each other: two at once would tear a file. */
  #last: Promise<unknown> = Promise.resolve();

  constructor(folder: vscode.Uri) {
    this.#folder = folder;
  }

  load(id: string): Promise<Draft | undefined> {
    return this.#inTurn(() => this.#read(this.#file(id)));
  }

  save(draft: Draft): Promise<void> {
    return this.#inTurn(async () => {
      const bytes = new TextEncoder().encode(JSON.stringify(draft));
      await vscode.workspace.fs.createDirectory(this.#folder);
      await vscode.workspace.fs.writeFile(this.#file(draft.id), bytes);
    });
  }

  delete(id: string): Promise<void> {
    return this.#inTurn(async () => {
      await vscode.workspace.fs.delete(this.#file(id)).then(undefined, () => {}); // gone already is as good
    });
  }

  /** Newest first. What is older than the newest twenty is deleted. */
  list(): Promise<DraftSummary[]> {
    return this.#inTurn(async () => {
      const entries = await vscode.workspace.fs.readDirectory(this.#folder).then(
        (found) => found,
        () => [], // nothing was saved yet
      );
      const files = entries.map(([name]) => vscode.Uri.joinPath(this.#folder, name));
      const drafts = (await Promise.all(files.map((file) => this.#read(file)))).filter((draft) => draft !== undefined);
      const sorted = drafts.sort((a, b) => b.savedAt - a.savedAt);
      for (const { id } of sorted.slice(keptDrafts)) await vscode.workspace.fs.delete(this.#file(id));
      return sorted.slice(0, keptDrafts).map(summarise);
    });
  }

  #file(id: string): vscode.Uri {
    return vscode.Uri.joinPath(this.#folder, `${id}.json`);
  }

  /** Undefined for a file that is not there or not a draft. */
  async #read(file: vscode.Uri): Promise<Draft | undefined> {
    try {
      const bytes = await vscode.workspace.fs.readFile(file);
      const parsed = v.safeParse(draftSchema, JSON.parse(new TextDecoder().decode(bytes)));
      return parsed.success ? parsed.output : undefined;
    } catch {
      return undefined;
    }
  }

  #inTurn<T>(work: () => Promise<T>): Promise<T> {
    const done = this.#last.then(work);
    this.#last = done.catch(() => {});
    return done;
  }
}

function summarise({ id, savedAt, messages, composer, system }: Draft): DraftSummary {
  const first = messages[0]?.versions[messages[0].shown]?.prefix || composer || system || 'Untitled';
  const line = first.trim().replace(/\s+/g, ' ');
  const title = line.length > titleLength ? `${line.slice(0, titleLength)}…` : line;
  return { id, savedAt, title, messages: messages.length };
}

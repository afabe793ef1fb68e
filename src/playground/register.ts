/** Registers the playground feature; disposing the result takes it all back. */
import * as v from 'valibot';
import * as vscode from 'vscode';
import type { Parts } from '../parts.ts';
import { AppError } from '../shared/app-error.ts';
import type { Handlers } from '../shared/peer.ts';
import { type Opening, openingSchema, type playgroundHostContract } from '../shared/playground-contract.ts';
import { DraftStore } from './draft-store.ts';
import { TextInserter } from './insert-text.ts';
import { PlaygroundPanel, playgroundViewType } from './playground-panel.ts';

export function registerPlayground({ context, engine, log }: Parts): vscode.Disposable {
  const storage = context.storageUri ?? context.globalStorageUri; // no folder is open
  const drafts = new DraftStore(vscode.Uri.joinPath(storage, 'playground'));
  const inserter = new TextInserter();

  const handlers = (takeOpening: () => Opening | undefined): Handlers<typeof playgroundHostContract> => ({
    ready: async () => ({ engine: engine.state, recent: await drafts.list(), opening: takeOpening() }),
    loadDraft: ({ id }) => drafts.load(id),
    saveDraft: ({ draft }) => drafts.save(draft).then(nothing),
    deleteDraft: ({ id }) => drafts.delete(id).then(() => drafts.list()),
    listDrafts: () => drafts.list(),
    startEngine: (_params, { signal }) => engine.start(signal).then(nothing),
    showLog: () => nothing(log.show()),
    encode: (params, { signal }) => engine.call('encode', params, { signal }),
    stats: (params, { signal }) => engine.call('stats', params, { signal }),
    generate: (params, { signal, progress }) => {
      const request = { ...params, priority: 'interactive', details: true } as const;
      return engine.call('generate', request, { signal, onProgress: progress });
    },
    copyText: async ({ text }) => nothing(await vscode.env.clipboard.writeText(text)),
    insertText: ({ text }) => inserter.insert(text),
    inspect: async (params) =>
      nothing(await vscode.commands.executeCommand('glasshead.inspectPrompt', { ...params, title: 'Playground' })),
  });

  const panel = new PlaygroundPanel({
    extensionUri: context.extensionUri,
    handlers,
    onFault: (fault) => log.warn(`Playground: ${fault}`),
  });

  const open = (argument: unknown) => {
    if (argument === undefined) return panel.open(undefined);
    const parsed = v.safeParse(openingSchema, argument);
    if (!parsed.success) throw new AppError('bad-input', 'The playground opens with {messages: [{role, content}]}.');
    return panel.open(parsed.output);
  };

  return vscode.Disposable.from(
    inserter,
    panel,
    engine.onDidChangeState((state) => panel.setEngine(state)),
    vscode.window.registerWebviewPanelSerializer(playgroundViewType, panel),
    vscode.commands.registerCommand('glasshead.openPlayground', open),
  );
}

function nothing(_done?: unknown): undefined {}

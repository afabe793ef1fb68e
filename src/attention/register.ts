/** Registers the attention feature; disposing the result takes it all back. */
import * as v from 'valibot';
import * as vscode from 'vscode';
import type { Parts } from '../parts.ts';
import { readSettings } from '../platform/settings.ts';
import { AppError } from '../shared/app-error.ts';
import { inspectPromptSchema, type PanelState } from '../shared/attention-contract.ts';
import { AttentionController } from './attention-controller.ts';
import { AttentionView } from './attention-view.ts';
import { DocumentPlace } from './document-place.ts';
import type { Source } from './inspection.ts';
import { readPicture } from './picture-source.ts';
import { readSelection } from './selection-source.ts';
import { ShadeStyles } from './shade-styles.ts';
import { shadeTokenAtCursor } from './token-at-cursor.ts';

export function registerAttention({ context, engine, log }: Parts): vscode.Disposable {
  const styles = new ShadeStyles();
  const setInspected = contextKey('glasshead.isAttentionInspected');
  const setShaded = contextKey('glasshead.isAttentionShaded');

  const onDidChange = (state: PanelState) => {
    view.post(state);
    const isLive = state.kind === 'shown' && state.document === 'live';
    setInspected(isLive);
    setShaded(isLive && state.shading !== undefined);
  };
  const controller = new AttentionController({
    engine,
    readLimit: () => readSettings().attentionMaxTokens,
    onDidChange,
    log: (line) => log.warn(line),
  });

  const inspect = async (source: Source | { readonly hint: string }): Promise<PanelState> => {
    const shown = view.reveal();
    if ('hint' in source) controller.reset(source.hint);
    else await controller.inspect(source);
    await shown;
    return controller.state;
  };
  const inspectSelection = () =>
    inspect(readSelection((document, range) => new DocumentPlace(document, range, styles)));
  const inspectPrompt = (argument: unknown) => {
    const parsed = v.safeParse(inspectPromptSchema, argument);
    if (!parsed.success) throw new AppError('bad-input', 'There is no prompt to inspect. Run one in the playground.');
    const { title = 'Prompt', input, continuation, target } = parsed.output;
    return inspect({
      ...{ title, input, notes: [] },
      ...(continuation && { continuation }),
      ...(target !== undefined && { target }),
    });
  };
  const inspectImage = async (argument: unknown) => {
    const picture = await readPicture(argument);
    return picture && inspect(picture);
  };
  const openSettings = () =>
    void vscode.commands.executeCommand('workbench.action.openSettings', 'glasshead.attention');

  const view: AttentionView = new AttentionView(
    context.extensionUri,
    {
      ready: () => controller.state,
      inspectSelection: () => void inspectSelection(),
      inspectFirst: () => void controller.inspectFirst(),
      retry: () => void controller.retry(),
      cancel: () => void controller.cancel(),
      openSettings,
      choose: ({ inspectionId, layer, head }) => void controller.choose(inspectionId, layer, head),
      chooseStack: ({ inspectionId, stack }) => void controller.chooseStack(inspectionId, stack),
      map: ({ inspectionId, ...place }) => controller.map(inspectionId, place),
      picture: ({ inspectionId }) => controller.picture(inspectionId),
      thumbnails: (request, { signal }) => controller.thumbnails(request, signal),
      shade: ({ inspectionId, token, direction }) => controller.shade(inspectionId, token, direction).then(nothing),
      clearShading: () => void controller.clearShading(),
      testHead: ({ inspectionId, ...place }, { signal }) => controller.testHead(inspectionId, place, signal),
    },
    (fault) => log.warn(`Attention panel: ${fault}`),
  );

  return vscode.Disposable.from(
    styles,
    controller,
    view.register(),
    vscode.commands.registerCommand('glasshead.inspectSelection', inspectSelection),
    vscode.commands.registerCommand('glasshead.inspectPrompt', inspectPrompt),
    vscode.commands.registerCommand('glasshead.inspectImage', inspectImage),
    vscode.commands.registerCommand('glasshead.clearAttentionShading', () => controller.clearShading()),
    vscode.commands.registerCommand('glasshead.shadeAttention', (argument: unknown) =>
      shadeTokenAtCursor(controller, argument),
    ),
  );
}

function nothing(): undefined {}

/** Sets a key for `when` clauses, when it changes. */
function contextKey(name: string): (value: boolean) => void {
  let current = false;
  return (value) => {
    if (value === current) return;
    current = value;
    void vscode.commands.executeCommand('setContext', name, value);
  };
}

/** The command that shades from the editor: what the token at the cursor attends to, or the token that it is given. */
import * as v from 'valibot';
import * as vscode from 'vscode';
import type { Direction } from '../shared/attention/weights.ts';
import type { ShownState } from '../shared/attention-contract.ts';
import type { AttentionController } from './attention-controller.ts';
import type { ShadingReport } from './shading.ts';

const argumentSchema = v.optional(
  v.object({
    token: v.optional(v.number()),
    direction: v.optional(v.picklist(['attends', 'attended'])),
    layer: v.optional(v.number()),
    head: v.optional(v.number()),
  }),
);

/** Resolves with what is shaded, for automation; with nothing when there is nothing to shade. */
export async function shadeTokenAtCursor(
  controller: AttentionController,
  argument: unknown,
): Promise<ShadingReport | undefined> {
  const { state } = controller;
  if (state.kind !== 'shown') return refuse('No text is inspected.');
  // A key binding without arguments passes whatever it likes.
  const parsed = v.safeParse(argumentSchema, argument);
  const options = (parsed.success && parsed.output) || {};
  const { queries, keys } = state.stacks[state.stack]!;
  // The editor shows the source: in cross attention that is what is attended to.
  const own = queries === 'source' ? 'attends' : keys === 'source' ? 'attended' : undefined;
  if (own === undefined && options.token === undefined)
    return refuse('The attention in view is among the tokens of the answer, which are not in the editor.');
  const token = options.token ?? controller.tokenAtCursor();
  const length = (options.direction === 'attended' ? keys : queries) === 'target' ? state.target?.length : undefined;
  if (token === undefined || token >= (length ?? state.tokens.length))
    return refuse('The cursor is not in the inspected text.');
  const { layer = state.layer, head = state.head } = options;
  if (layer >= state.layers || head >= state.heads) return refuse(`There is no layer ${layer}, head ${head}.`);
  await controller.choose(state.inspectionId, layer, head);
  await controller.shade(state.inspectionId, token, options.direction ?? directionOf(state, own));
  return controller.report();
}

function directionOf({ stacks, stack, shading }: ShownState, own: Direction | undefined): Direction {
  const { queries, keys } = stacks[stack]!;
  return queries === keys ? (shading?.direction ?? 'attends') : (own ?? 'attends');
}

async function refuse(reason: string): Promise<undefined> {
  const action = 'Inspect Selection';
  const choice = vscode.window.showInformationMessage(
    `${reason} Select some text and inspect its attention first.`,
    action,
  );
  void choice.then((chosen) => chosen === action && vscode.commands.executeCommand('glasshead.inspectSelection'));
  return undefined;
}

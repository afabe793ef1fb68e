/**
 * Owns the Attention panel's state: runs a text once, brings heads into view, shades the editor. Knows no vscode, so
 * that it can be tested with a scripted engine. A newer inspection cancels the older one.
 */
import { isCancelled, toAppError, toWireError } from '../shared/app-error.ts';
import { cutCount } from '../shared/attention/text-anchor.ts';
import { labelTokens } from '../shared/attention/token-label.ts';
import type { Direction, HeadMap } from '../shared/attention/weights.ts';
import type { HeadTest, PanelState, PanelToken, ShownState } from '../shared/attention-contract.ts';
import type { EncodedPrompt, Picture, PictureLayout, PromptInput } from '../shared/engine-contract.ts';
import type { EngineState } from '../shared/engine-state.ts';
import { type TestedHead, testHead } from './head-test.ts';
import { type Engine, type HeadPlace, Inspection, type Source } from './inspection.ts';
import { Shading, type ShadingReport } from './shading.ts';

/** A text longer than this is not tokenised whole: the first part says enough. */
const longestText = 200_000;

export interface ControllerOptions {
  readonly engine: Engine;
  readonly readLimit: () => number;
  readonly onDidChange: (state: PanelState) => void;
  readonly log: (line: string) => void;
}

interface Run {
  readonly source: Source;
  /** The reader chose to see the first tokens only. */
  readonly isCut: boolean;
  readonly abort: AbortController;
}

export class AttentionController {
  readonly #options: ControllerOptions;
  #state: PanelState = { kind: 'empty' };
  #run: Run | undefined;
  #inspection: Inspection | undefined;
  #shading: Shading | undefined;
  /** The head in view, kept from one text to the next. */
  #view: HeadPlace = { stack: 0, layer: 0, head: 0 };
  readonly #listener: { dispose(): void };

  constructor(options: ControllerOptions) {
    this.#options = options;
    this.#listener = options.engine.onDidChangeState((state) => this.#onEngineState(state));
  }

  get state(): PanelState {
    return this.#state;
  }

  dispose(): void {
    this.#listener.dispose();
    this.reset();
  }

  /** Forgets the inspected text; `hint` says why there is none. */
  reset(hint?: string): void {
    this.#replaceRun(undefined);
    this.#set(hint === undefined ? { kind: 'empty' } : { kind: 'empty', hint });
  }

  cancel(): void {
    if (this.#state.kind === 'loading') this.reset();
  }

  async retry(): Promise<void> {
    if (this.#run) await this.inspect(this.#run.source, this.#run);
  }

  /** After `tooLong`. */
  async inspectFirst(): Promise<void> {
    if (this.#run && this.#state.kind === 'tooLong') await this.inspect(this.#run.source, { isCut: true });
  }

  /** Resolves when the panel shows the result or the reason why there is none; never rejects. */
  async inspect(source: Source, { isCut = false } = {}): Promise<void> {
    const run: Run = { source, isCut, abort: new AbortController() };
    this.#replaceRun(run);
    this.#set({ kind: 'loading', title: source.title, message: 'Waiting for the model' });
    this.#onEngineState(this.#options.engine.state);
    try {
      await this.#inspect(run);
    } catch (thrown) {
      if (this.#run !== run) return;
      if (isCancelled(thrown)) return this.reset('The inspection was cancelled.');
      const error = toAppError(thrown);
      this.#options.log(`Attention of ${source.title}: ${error.message}`);
      if (error.code === 'model-unsupported') this.#set({ kind: 'refused', reason: error.message });
      else this.#set({ kind: 'failed', title: source.title, error: toWireError(error) });
    }
  }

  async #inspect(run: Run): Promise<void> {
    const { source, abort } = run;
    if (source.input.kind !== 'picture') return this.#inspectText(run, source.input);
    const { engine } = this.#options;
    const { bytes } = source.input;
    const { signal } = abort;
    const result = await engine.call('inspectPicture', { bytes, priority: 'interactive' }, { signal });
    const inspection = new Inspection(engine, source, result);
    if (this.#run !== run) return inspection.close();
    this.#open(inspection, undefined);
  }

  async #inspectText(run: Run, asked: PromptInput): Promise<void> {
    const { source, isCut, abort } = run;
    const { engine, readLimit } = this.#options;
    const limit = readLimit();
    const whole = asked.kind === 'text' ? asked.text : '';
    const hasMore = whole.length > longestText;
    const input = hasMore ? { kind: 'text' as const, text: whole.slice(0, longestText) } : asked;
    const encoded = await engine.call('encode', { input }, { signal: abort.signal });
    if (this.#run !== run) return;
    const model = engine.state.kind === 'ready' ? engine.state.model : undefined;
    const refused = model?.inspectionRefused;
    if (refused !== undefined) return this.#set({ kind: 'refused', reason: refused });
    const tokens = encoded.tokens.length + (source.continuation?.length ?? 0);
    if (tokens > limit && !isCut) return this.#set({ kind: 'tooLong', title: source.title, tokens, hasMore, limit });
    const request =
      tokens > limit ? cutRequest(asked, source, { encoded, limit }) : { input, ...continuationOf(source) };
    const { target } = source;
    const isPair = model?.kind === 'encoder-decoder';
    const result = await engine.call(
      'inspect',
      {
        ...request,
        ...(isPair && target !== undefined && { target: { kind: 'text' as const, text: target } }),
        priority: 'interactive',
      },
      {
        signal: abort.signal,
        onProgress: ({ done, total }) => this.#onProgress(run, done, total),
      },
    );
    const inspection = new Inspection(engine, source, result);
    if (this.#run !== run) return inspection.close();
    this.#open(inspection, tokens > limit || hasMore ? `${hasMore ? 'more than ' : ''}${tokens}` : undefined);
  }

  #open(inspection: Inspection, cutFrom: string | undefined): void {
    const { source, encoded } = inspection;
    this.#inspection = inspection;
    const count = encoded.tokens.length;
    const notes = [...source.notes, ...inspection.notes];
    if (source.target !== undefined && !inspection.target)
      notes.push('The second text was not used: this model does not write an answer to a text.');
    if (cutFrom !== undefined) notes.push(`Only the first ${count} of ${cutFrom} tokens were inspected.`);
    if (encoded.neutralised.length > 0)
      notes.push(`Read as plain text, not as control tokens: ${[...new Set(encoded.neutralised)].join(' ')}`);
    // A tokenizer that rewrites the text has no offsets in the document; painting there would lie.
    const isAsTyped = source.input.kind === 'text' && source.input.text.startsWith(encoded.text);
    if (source.place && !isAsTyped)
      notes.push('This model rewrites the text before it reads it, so the editor is not shaded.');
    this.#shading = new Shading(inspection, isAsTyped ? source.place : undefined, () => this.#onPlaceChange());
    this.#view = placeIn(inspection, this.#view);
    this.#set(this.#shown(inspection, notes));
  }

  #shown(inspection: Inspection, notes: string[]): ShownState {
    return {
      kind: 'shown',
      inspectionId: inspection.id,
      title: inspection.source.title,
      tokens: panelTokens(inspection.encoded),
      ...(inspection.target && { target: panelTokens(inspection.target) }),
      ...(inspection.picture && { picture: layoutOf(inspection.picture) }),
      stacks: [...inspection.stacks],
      ...shapeOf(inspection, this.#view.stack),
      runMs: inspection.runMs,
      ...this.#view,
      document: this.#shading?.document ?? 'none',
      notes,
    };
  }

  /** Brings a head into view. Resolves when the editor is shaded by it, where a token is shaded. */
  async choose(inspectionId: number, layer: number, head: number): Promise<void> {
    const inspection = this.#inspection;
    const shape = inspection?.id === inspectionId ? inspection.stacks[this.#view.stack] : undefined;
    if (!shape || layer >= shape.layers || head >= shape.heads) return;
    this.#view = { ...this.#view, layer, head };
    this.#update({ layer, head });
    await this.#paint();
  }

  /** Brings another attention of the model into view; a shaded token of one is none of another. */
  chooseStack(inspectionId: number, stack: number): void {
    const inspection = this.#inspection;
    if (inspection?.id !== inspectionId || !inspection.stacks[stack] || stack === this.#view.stack) return;
    this.clearShading();
    this.#view = placeIn(inspection, { ...this.#view, stack });
    this.#update({ ...shapeOf(inspection, stack), ...this.#view });
  }

  /** An inspection that the engine has lost becomes an error with Retry. */
  async map(inspectionId: number, place: HeadPlace): Promise<HeadMap> {
    const inspection = this.#require(inspectionId);
    try {
      return await inspection.map(place);
    } catch (thrown) {
      this.#onLost(inspection, thrown);
      throw thrown;
    }
  }

  picture(inspectionId: number): { pixels: Picture['pixels'] } {
    const { picture } = this.#require(inspectionId);
    if (picture) return { pixels: picture.pixels };
    throw toAppError(new Error('There is no picture in this inspection.'), 'bad-input');
  }

  async thumbnails(
    { inspectionId, stack, layers, size }: { inspectionId: number; stack: number; layers: number[]; size: number },
    signal: AbortSignal,
  ) {
    return this.#require(inspectionId).thumbnails(stack, layers, size, signal);
  }

  /** Shades what `token` attends to or what attends to it, in the head in view, and reveals the token. */
  async shade(inspectionId: number, token: number, direction: Direction): Promise<void> {
    const inspection = this.#require(inspectionId);
    const shading = this.#shading;
    const { stack } = this.#view;
    const asked = inspection.sequence(stack, direction === 'attends' ? 'queries' : 'keys');
    if (!shading || !asked.tokens[token]) return;
    shading.shaded = { token, direction };
    this.#update({ shading: shading.shaded });
    await this.#paint();
    await shading.reveal(token, stack);
  }

  /** Paints the shaded token by the head in view; whatever was chosen meanwhile paints itself. */
  async #paint(): Promise<void> {
    const [shading, view, shaded] = [this.#shading, this.#view, this.#shading?.shaded];
    if (!shading || !shaded || !this.#inspection) return;
    const map = await this.map(this.#inspection.id, view).catch(() => undefined);
    if (map && this.#shading === shading && this.#view === view && shading.shaded === shaded) shading.paint(map, view);
  }

  testHead(inspectionId: number, place: TestedHead, signal: AbortSignal): Promise<HeadTest> {
    return testHead(this.#options.engine, this.#require(inspectionId), place, signal);
  }

  tokenAtCursor(): number | undefined {
    return this.#shading?.tokenAtCursor();
  }

  /** What is shaded just now, in numbers. */
  report(): ShadingReport | undefined {
    return this.#shading?.report;
  }

  clearShading(): void {
    this.#shading?.clear();
    if (this.#state.kind !== 'shown' || !this.#state.shading) return;
    const { shading: _, ...rest } = this.#state;
    this.#set(rest);
  }

  #require(inspectionId: number): Inspection {
    if (this.#inspection?.id === inspectionId) return this.#inspection;
    throw toAppError(new Error('This text is not inspected any more.'), 'bad-input');
  }

  #onLost(inspection: Inspection, thrown: unknown): void {
    if (this.#inspection !== inspection || isCancelled(thrown)) return;
    this.#options.log(`Attention of ${inspection.source.title}: ${toAppError(thrown).message}`);
    this.#forget();
    this.#set({ kind: 'failed', title: inspection.source.title, error: toWireError(thrown) });
  }

  #onPlaceChange(): void {
    const document = this.#shading?.document ?? 'none';
    if (document !== 'live') this.clearShading();
    this.#update({ document });
  }

  #onProgress(run: Run, done: number, total: number): void {
    if (this.#run !== run || this.#state.kind !== 'loading') return;
    const message = `Running ${total} ${total === 1 ? 'token' : 'tokens'} through the model`;
    this.#set({ kind: 'loading', title: run.source.title, message, fraction: total > 0 ? done / total : 0 });
  }

  #onEngineState(state: EngineState): void {
    if (this.#state.kind !== 'loading' || state.kind !== 'loading') return;
    const { message, fraction } = state;
    const loading = { kind: 'loading' as const, title: this.#state.title, message };
    this.#set(fraction === undefined ? loading : { ...loading, fraction });
  }

  #replaceRun(run: Run | undefined): void {
    const old = this.#run;
    this.#run = run;
    old?.abort.abort();
    this.#forget();
    if (old?.source !== run?.source) old?.source.place?.dispose();
  }

  #forget(): void {
    this.#shading?.dispose();
    this.#shading = undefined;
    this.#inspection?.close();
    this.#inspection = undefined;
  }

  #update(change: Partial<ShownState>): void {
    if (this.#state.kind === 'shown') this.#set({ ...this.#state, ...change });
  }

  #set(state: PanelState): void {
    this.#state = state;
    this.#options.onDidChange(state);
  }
}

function continuationOf({ continuation }: Source): { continuation?: number[] } {
  return continuation ? { continuation: [...continuation] } : {};
}

/** The same head in a stack that may have fewer of them, and fewer layers. */
function placeIn({ stacks }: Inspection, view: HeadPlace): HeadPlace {
  const stack = Math.min(view.stack, stacks.length - 1);
  const { layers = 1, heads = 1 } = stacks[stack] ?? {};
  return { stack, layer: Math.min(view.layer, layers - 1), head: Math.min(view.head, heads - 1) };
}

function layoutOf({ pixels: _, ...layout }: Picture): PictureLayout {
  return layout;
}

function shapeOf({ stacks }: Inspection, stack: number) {
  const { layers = 0, heads = 0, kvHeads = 0 } = stacks[stack] ?? {};
  return { layers, heads, kvHeads };
}

/** The first tokens: of a text as text, so that its offsets stay those of the document, of a prompt as ids. */
function cutRequest(
  input: PromptInput,
  { continuation = [] }: Source,
  { encoded, limit }: { readonly encoded: EncodedPrompt; readonly limit: number },
) {
  if (input.kind !== 'text' || encoded.tokens.length <= limit) {
    const ids = [...encoded.tokens.map(({ id }) => id), ...continuation].slice(0, limit);
    return { input: { kind: 'ids' as const, ids } };
  }
  const end = encoded.tokens[cutCount(encoded.tokens, limit) - 1]?.end ?? 0;
  return { input: { kind: 'text' as const, text: encoded.text.slice(0, end) } };
}

function panelTokens({ tokens, text }: EncodedPrompt): PanelToken[] {
  const labels = labelTokens(tokens, text);
  return tokens.map(({ start, end, isSpecial, text: own }, index) => ({
    label: labels[index] ?? '',
    start,
    end,
    isSpecial,
    isLineEnd: /[\n\r]$/.test(own),
  }));
}

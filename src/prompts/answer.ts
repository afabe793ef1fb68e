/**
 * One answer: fits the prompt, runs it, writes what comes to its place, shows progress, and when something goes wrong
 * says so once, with a way on. What was written stays, whatever happens.
 */
import * as vscode from 'vscode';
import type { EngineClient } from '../engine/engine-client.ts';
import { toAbortSignal } from '../platform/abort.ts';
import type { Log } from '../platform/log.ts';
import { AppError, isCancelled, toAppError } from '../shared/app-error.ts';
import type { SamplingSettings } from '../shared/sampling-settings.ts';
import { askToCut, askToRetry, offerText, sayEdited } from './answer-notices.ts';
import { type AnswerTarget, isInTab } from './answer-target.ts';
import type { TextTransform } from './code-filter.ts';
import type { BuiltPrompt } from './prompt-building.ts';
import { cutToFit, describeOverflow, measurePrompt, type PromptFit } from './prompt-fit.ts';
import { describeNeutralised, describeStage, PromptRun } from './prompt-run.ts';
import type { RunningAnswers } from './running-answers.ts';
import type { WriterStop } from './stream-writer.ts';
import type { UnfinishedAnswers } from './unfinished-answers.ts';

export interface AnswerParts {
  readonly engine: EngineClient;
  readonly log: Log;
  readonly running: RunningAnswers;
  readonly unfinished: UnfinishedAnswers;
}

export interface AnswerSpec {
  readonly title: string;
  /** What may be cut at its start when the prompt is too long, and the prompt around it. */
  readonly material: string;
  readonly build: (material: string) => BuiltPrompt;
  readonly sampling: SamplingSettings;
  readonly target: AnswerTarget;
  readonly createTransform: (built: BuiltPrompt) => TextTransform;
  /** Nobody is there to be asked: too long a prompt is an error. */
  readonly isAutomated: boolean;
  /** Told of the answer as it is written. */
  readonly onText?: ((text: string) => void) | undefined;
}

type Report = (message: string) => void;

/** From the loss of its text to the end of an editor that is closed. */
const closingMs = 500;
const closedInTheMiddle = 'The editor was closed in the middle of the answer.';

export class Answer {
  readonly #parts: AnswerParts;
  readonly #spec: AnswerSpec;
  readonly #id = crypto.randomUUID();
  readonly #built: BuiltPrompt;
  readonly #transform: TextTransform;
  #run: PromptRun | undefined;
  #neutralised: readonly string[] = [];
  #written = '';
  #controller = new AbortController();

  constructor(parts: AnswerParts, spec: AnswerSpec) {
    this.#parts = parts;
    this.#spec = spec;
    this.#built = spec.build(spec.material);
    this.#transform = spec.createTransform(this.#built);
    spec.target.onStop((reason) => this.#onTargetStop(reason));
    spec.target.onOpen(() => parts.running.refresh());
  }

  /** For an answer of which a part is known, from before a reload. */
  resume(ids: readonly number[], text: string): void {
    const { input, isCode } = this.#built;
    this.#run = new PromptRun(this.#parts.engine, { input, sampling: this.#spec.sampling, isCode });
    this.#run.resume(ids, text);
    this.#emit(this.#transform.push(text));
  }

  /** Resolves with what was written, also when the user stopped it; rejects when it failed, after saying so. */
  async complete(): Promise<string> {
    const { running, unfinished } = this.#parts;
    const { target } = this.#spec;
    this.#controller = new AbortController();
    const { signal } = this.#controller;
    const self = {
      get document() {
        return target.document;
      },
      stop: () => this.#controller.abort(),
    };
    running.add(self);
    try {
      // One notification for all of it: VS Code shows three at a time, and a fourth not even when there is room again.
      const isDone = await this.#withProgress(async (report) => {
        if (!(await this.#prepare(signal, report))) return false;
        await this.#generate(signal, report);
        this.#emit(this.#transform.end());
        await target.finish();
        return true;
      });
      if (!isDone) return this.#written;
      this.#sayAfterwards();
      target.dispose();
      return this.#written;
    } catch (thrown) {
      await target.finish();
      const error = toAppError(thrown);
      this.#sayFailed(error);
      throw error;
    } finally {
      running.delete(self);
      unfinished.drop(this.#id);
    }
  }

  /** Starts the engine and makes the prompt fit. False: the user decided against it. */
  async #prepare(signal: AbortSignal, report: Report): Promise<boolean> {
    if (this.#run) return true;
    const { engine } = this.#parts;
    const { build, material, sampling, isAutomated } = this.#spec;
    const watch = engine.onDidChangeState((state) => {
      if (state.kind === 'loading') report(state.message);
    });
    try {
      const { contextLength } = await engine.start(signal);
      const options = { contextLength, maxTokens: sampling.maxTokens, signal };
      let fit: PromptFit | undefined = await measurePrompt(engine, this.#built.input, options);
      if (fit.over > 0) {
        const tooLong = new AppError('context-overflow', describeOverflow(fit));
        if (isAutomated) throw tooLong;
        report('The prompt is too long');
        if (!(await askToCut(tooLong.message, signal))) return false;
        report('Cutting the start');
        fit = await cutToFit(engine, (rest) => build(rest).input, material, options);
        if (!fit) throw tooLong;
      }
      this.#neutralised = fit.neutralised;
      this.#run = new PromptRun(engine, { input: fit.input, sampling, isCode: this.#built.isCode });
      return true;
    } catch (thrown) {
      if (signal.aborted && isCancelled(thrown)) return false;
      throw thrown;
    } finally {
      watch.dispose();
    }
  }

  async #generate(signal: AbortSignal, report: Report): Promise<void> {
    const run = this.#run;
    if (!run) return;
    try {
      const finish = await run.run({
        signal,
        onStage: (stage) => report(describeStage(stage)),
        onText: (text) => {
          this.#spec.onText?.(text);
          this.#emit(this.#transform.push(text));
          this.#keep(run);
          if (this.#transform.isDone) this.#controller.abort();
        },
      });
      this.#parts.log.info(`${this.#spec.title}: ${run.ids.length} tokens, ${finish}`);
    } catch (thrown) {
      if (!(signal.aborted && isCancelled(thrown))) throw thrown;
    }
  }

  #emit(text: string): void {
    this.#written += text;
    this.#spec.target.write(text);
  }

  #keep(run: PromptRun): void {
    const { languageId, isCode, startsInside } = this.#built;
    const { title } = this.#spec;
    const { ids, text, request } = run;
    this.#parts.unfinished.keep({
      id: this.#id,
      title,
      ...request,
      languageId,
      isCode,
      startsInside,
      ids: [...ids],
      text,
    });
  }

  #withProgress<T>(task: (report: Report) => Promise<T>): Promise<T> {
    const { title } = this.#spec;
    const options = { location: vscode.ProgressLocation.Notification, title: `Glasshead: ${title}`, cancellable: true };
    const controller = this.#controller;
    return Promise.resolve(
      vscode.window.withProgress(options, (progress, token) => {
        toAbortSignal(token).addEventListener('abort', () => controller.abort());
        return task((message) => progress.report({ message }));
      }),
    );
  }

  #onTargetStop(reason: WriterStop): void {
    this.#controller.abort();
    const { document } = this.#spec.target;
    if (reason === 'refused') this.#offer('The editor takes no text: it may be read-only.');
    else if (reason === 'closed') this.#offer(closedInTheMiddle);
    // An editor that is closed without saving loses its text first.
    else setTimeout(() => (document && !isInTab(document) ? this.#offer(closedInTheMiddle) : sayEdited()), closingMs);
  }

  #sayAfterwards(): void {
    const { target } = this.#spec;
    const neutralised = describeNeutralised(this.#neutralised);
    if (neutralised !== undefined) void vscode.window.showInformationMessage(neutralised);
    if (this.#written !== '' || target.stopped !== undefined) return;
    if (this.#run && this.#run.text.trim() !== '')
      this.#offer('The model answered without any code. Say more exactly what it should do.');
    else if (!this.#controller.signal.aborted)
      void vscode.window.showInformationMessage('The model gave no answer. Try other words, or a higher temperature.');
  }

  #offer(message: string): void {
    const languageId = this.#written === '' ? 'markdown' : this.#built.languageId;
    void offerText(message, this.#written || this.#run?.text || '', languageId);
  }

  #sayFailed(error: AppError): void {
    this.#parts.log.error(`${this.#spec.title}: ${error.code}: ${error.message}`);
    const kept = this.#written === '' ? '' : ' The text so far is kept.';
    void askToRetry(`${error.message}${kept}`).then((isWanted) => {
      if (isWanted) return this.#retry();
      this.#spec.target.dispose();
      return undefined;
    });
  }

  /** Goes on behind the text so far, in a new editor when the old place is gone. */
  async #retry(): Promise<void> {
    const { target } = this.#spec;
    if (target.stopped !== undefined) {
      target.moveToUntitled(this.#built.languageId);
      target.write(this.#written);
    }
    await this.complete().catch(() => undefined); // said already
  }
}

/**
 * `<token-view>`: an answer token by token, each behind a tint of its probability. New tokens are appended; nothing
 * that stands already is touched, so that a long answer stays smooth. Sends `token-point` when a token is pointed at
 * or focused, `token-open` when it is chosen, `token-leave` when the pointer goes.
 *
 * One tab stop; the arrow keys, Home and End move between tokens.
 */
import type { Version } from '../../src/shared/playground-contract.ts';
import { send } from '../ui/page-element.ts';
import { versionText } from './conversation.ts';
import { formatProbability } from './token-colour.ts';
import { visibleText } from './visible-text.ts';

export interface TokenPoint {
  readonly index: number;
  readonly token: HTMLElement;
}

export class TokenView extends HTMLElement {
  #version: Version | undefined;
  #shown: HTMLElement[] = [];
  #current = 0;
  readonly #prefix = document.createElement('span');
  readonly #tokens = document.createElement('span');

  connectedCallback(): void {
    if (this.#prefix.isConnected) return;
    this.setAttribute('role', 'group');
    this.append(this.#prefix, this.#tokens);
    this.addEventListener('pointerover', (event) => this.#point(event, 'token-point'));
    this.addEventListener('pointerleave', () => send(this, 'token-leave', undefined));
    this.addEventListener('click', (event) => this.#point(event, 'token-open'));
    this.addEventListener('keydown', (event) => this.#onKey(event));
    this.addEventListener('focusin', (event) => this.#point(event, 'token-point'));
  }

  set version(version: Version) {
    const old = this.#version;
    this.#version = version;
    const isSame =
      old?.id === version.id && old.prefix === version.prefix && this.#shown.length <= version.steps.length;
    if (!isSame) this.#clear();
    if (this.#prefix.textContent !== version.prefix) this.#prefix.textContent = version.prefix;
    this.#append(version);
    if (old?.trimmed !== version.trimmed || !isSame) this.#trim(version);
    const state = version.status === 'running' ? ', being written' : '';
    this.setAttribute(
      'aria-label',
      `Answer of ${version.steps.length} tokens${state}. Arrow keys move between tokens, Enter shows alternatives.`,
    );
    this.ariaBusy = String(version.status === 'running');
  }

  /** Puts the focus back on a token, after its details were closed. */
  focusToken(index: number): void {
    this.#moveTo(index);
  }

  #clear(): void {
    this.#tokens.replaceChildren();
    this.#shown = [];
    this.#current = 0;
  }

  #append({ steps }: Version): void {
    if (this.#shown.length === steps.length) return;
    const added = document.createDocumentFragment();
    for (let index = this.#shown.length; index < steps.length; index++) {
      const step = steps[index]!;
      const span = document.createElement('span');
      span.className = 'token';
      span.textContent = step.text;
      span.dataset.index = String(index);
      span.tabIndex = index === this.#current ? 0 : -1;
      span.style.setProperty('--raw', Math.exp(step.rawLogprob).toFixed(4));
      // A token picked against the filters counts as improbable after them.
      span.style.setProperty('--filtered', step.logprob === undefined ? '0' : Math.exp(step.logprob).toFixed(4));
      if (step.text === '') span.classList.add('is-empty');
      else if (/^\s*\n/.test(step.text)) span.classList.add('is-break');
      if (step.isPicked) span.classList.add('is-picked');
      this.#shown.push(span);
      added.append(span);
    }
    this.#tokens.append(added);
  }

  /** Hides what a stop string cut off the end. */
  #trim(version: Version): void {
    let room = versionText(version).length - version.prefix.length;
    version.steps.forEach(({ text }, index) => {
      const kept = text.slice(0, Math.max(0, room));
      const span = this.#shown[index]!;
      if (span.textContent !== kept) span.textContent = kept;
      room -= text.length;
    });
  }

  #point(event: Event, name: 'token-point' | 'token-open'): void {
    const token = event.target instanceof Element ? event.target.closest<HTMLElement>('.token') : null;
    if (!token) return;
    const index = Number(token.dataset.index);
    const step = this.#version?.steps[index];
    if (!step) return;
    token.setAttribute('role', 'button');
    token.ariaLabel = `Token ${visibleText(step.text)}, ${formatProbability(Math.exp(step.rawLogprob))}`;
    token.ariaHasPopup = 'dialog';
    if (event.type === 'click' || event.type === 'focusin') this.#setCurrent(index);
    send<TokenPoint>(this, name, { index, token });
  }

  #setCurrent(index: number): void {
    this.#shown[this.#current]?.setAttribute('tabindex', '-1');
    this.#current = index;
    this.#shown[index]?.setAttribute('tabindex', '0');
  }

  #moveTo(index: number): void {
    const target = Math.min(this.#shown.length - 1, Math.max(0, index));
    this.#setCurrent(target);
    this.#shown[target]?.focus();
  }

  #onKey(event: KeyboardEvent): void {
    if (event.ctrlKey || event.altKey || event.metaKey) return;
    const last = this.#shown.length - 1;
    const targets: Record<string, number> = {
      ArrowRight: this.#current + 1,
      ArrowDown: this.#current + 1,
      ArrowLeft: this.#current - 1,
      ArrowUp: this.#current - 1,
      Home: 0,
      End: last,
    };
    const target = targets[event.key];
    if (target !== undefined) this.#moveTo(target);
    else if (event.key === 'Enter' || event.key === ' ') this.#point(event, 'token-open');
    else return;
    event.preventDefault();
    event.stopPropagation();
  }
}

/** Tokens as buttons, of which Tab reaches one and the arrow keys the others. They send `token-choose`. */
import type { PropertyDeclarations } from 'lit';
import type { PanelToken } from '../../src/shared/attention-contract.ts';
import { PageElement, send } from '../ui/page-element.ts';

export abstract class TokenButtons extends PageElement {
  static override properties: PropertyDeclarations = {
    tokens: { attribute: false },
    weights: { attribute: false },
    marked: { type: Number },
    focused: { type: Number },
  };

  declare tokens: readonly PanelToken[];
  /** One a token: absent where it has none. */
  declare weights: readonly (number | undefined)[];
  /** The token that was asked about. */
  declare marked: number | undefined;
  /** The one token that Tab reaches; arrow keys go on from there. */
  declare focused: number;

  constructor() {
    super();
    this.focused = 0;
  }

  /** The token that a key leads to; undefined for other keys. */
  protected abstract afterKey(key: string): number | undefined;

  protected readonly onClick = (event: Event): void => {
    const button = (event.target as Element).closest<HTMLElement>('[data-token]');
    if (!button) return;
    this.focused = Number(button.dataset.token);
    send(this, 'token-choose', this.focused);
  };

  protected readonly onKey = (event: KeyboardEvent): void => {
    if (event.ctrlKey || event.altKey || event.metaKey) return;
    const next = this.afterKey(event.key);
    if (next === undefined) return;
    event.preventDefault();
    this.focused = next;
    this.querySelector<HTMLElement>(`[data-token="${next}"]`)?.focus();
  };
}

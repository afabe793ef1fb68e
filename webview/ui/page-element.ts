/** Base of a page's components: lit without a shadow root, so that the page's style sheets and labels reach inside. */
import { LitElement } from 'lit';

export class PageElement extends LitElement {
  protected override createRenderRoot(): HTMLElement {
    return this;
  }
}

/** Dispatches a bubbling event that also leaves shadow roots. */
export function send<T>(element: Element, name: string, detail: T): void {
  element.dispatchEvent(new CustomEvent(name, { detail, bubbles: true, composed: true }));
}

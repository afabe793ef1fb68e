/** An empty playground: what it is for, something to try, and the conversations of earlier tabs. */
import { html, nothing } from 'lit';
import { icon } from '../ui/icons.ts';
import { plural } from './numbers.ts';
import type { PlaygroundSession } from './session.ts';

const examples = [
  'Explain what a transformer is, in two sentences.',
  'Write a function in Python that reverses a list.',
  'The capital of France is',
];

export function renderStart(session: PlaygroundSession) {
  const { recent } = session;
  const others = recent.filter(({ id }) => id !== session.draft.id).slice(0, 5);
  return html`<div class="start">
    <h1>Ask the model on this machine</h1>
    <p class="muted">Nothing leaves the editor. Point at a token of the answer to see what else could have stood there, and
      choose it to branch.</p>
    <div class="examples">
      ${examples.map((text) => html`<button class="example" @click=${() => use(session, text)}>${text}</button>`)}
    </div>
    ${
      others.length > 0
        ? html`<h2>Earlier conversations</h2>
          <ul class="recent">${others.map(
            ({ id, title, savedAt, messages }) => html`<li class="row nowrap">
              <button class="quiet grow" @click=${() => void session.openRecent(id)}>
                <span class="recent-title">${title}</span>
                <span class="muted small">${plural(messages, 'message')}, ${new Date(savedAt).toLocaleString()}</span>
              </button>
              <button class="quiet" title="Delete this conversation" aria-label=${`Delete the conversation ${title}`}
                @click=${() => void session.deleteRecent(id)}>${icon('trash')}</button>
            </li>`,
          )}</ul>`
        : nothing
    }
  </div>`;
}

function use(session: PlaygroundSession, text: string): void {
  session.edit((draft) => ({ ...draft, composer: text }));
  document.querySelector<HTMLTextAreaElement>('#composer')?.focus();
}

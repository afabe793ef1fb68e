/** The numbers under an answer: one line, and all of them on demand. */
import { html, nothing } from 'lit';
import type { Version } from '../../src/shared/playground-contract.ts';
import { icon } from '../ui/icons.ts';
import { listNumbers, summarise } from './numbers.ts';

export function renderNumbers(
  { numbers }: Version,
  contextLength: number | undefined,
  pinSeed: (seed: number) => void,
) {
  if (!numbers) return nothing;
  const { seed, neutralised } = numbers;
  return html`
    <details class="numbers-of-run small numbers">
      <summary class="muted">${summarise(numbers)}</summary>
      <dl class="facts">
        ${listNumbers(numbers, contextLength).map(([name, value]) => html`<dt>${name}</dt><dd>${value}</dd>`)}
        ${
          seed === undefined
            ? nothing
            : html`<dt>Seed</dt><dd>${seed}
              <button class="quiet" title="Use this seed from now on" @click=${() => pinSeed(seed)}>${icon('pin')}Pin</button></dd>`
        }
      </dl>
    </details>
    ${neutralised.length > 0 ? html`<p class="muted small">${describeNeutralised(neutralised)}</p>` : nothing}
  `;
}

/** Special tokens in what a person wrote are text for the model, and the person is told. */
export function describeNeutralised(neutralised: readonly string[]): string {
  const unique = [...new Set(neutralised)];
  const are =
    unique.length === 1 ? 'was read as text, not as a control token' : 'were read as text, not as control tokens';
  return `${unique.join(', ')} ${are}.`;
}

export function describeBranch(versions: readonly Version[], shown: number): string {
  const { branch } = versions[shown] ?? {};
  if (!branch) return '';
  const from = versions.findIndex(({ id }) => id === branch.from);
  return `branches at token ${branch.at + 1}${from < 0 ? '' : ` of version ${from + 1}`}`;
}

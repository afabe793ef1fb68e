/** What one token's weights look like on the text: shades with their hovers, and the mark of the token itself. */
import { formatWeight } from '../shared/attention/levels.ts';
import { labelTokens } from '../shared/attention/token-label.ts';
import type { Direction, Shade } from '../shared/attention/weights.ts';
import type { EncodedPrompt } from '../shared/engine-contract.ts';
import type { Painting } from './inspection.ts';

export interface PaintingOptions {
  /** Where the token that is asked about stands, and where the shaded ones stand: not the same in cross attention. */
  readonly asked: EncodedPrompt;
  readonly other: EncodedPrompt;
  readonly shades: readonly Shade[];
  readonly weights: readonly (number | undefined)[];
  readonly token: number;
  readonly direction: Direction;
  readonly layer: number;
  readonly head: number;
}

export function paintingOf(options: PaintingOptions): Painting {
  const { asked, other: shaded, shades, weights, token, direction, layer, head } = options;
  const isSame = asked === shaded;
  const labels = labelTokens(shaded.tokens, shaded.text);
  const ownLabels = isSame ? labels : labelTokens(asked.tokens, asked.text);
  const own = `token ${token} “${ownLabels[token]}”`;
  const where = `layer ${layer}, head ${head}; weights of a row are 0 to 1 and sum to 1`;
  const line = (other: number): string => {
    const weight = formatWeight(weights[other] ?? 0);
    const name = isSame && other === token ? 'itself' : `token ${other} “${labels[other]}”`;
    if (direction === 'attends' || (isSame && other === token))
      return `${capital(own)} attends to ${name} with weight ${weight}.`;
    return `${capital(name)} attends to ${own} with weight ${weight}.`;
  };
  const { start = 0, end = 0 } = asked.tokens[token] ?? {};
  const what = direction === 'attends' ? 'What it attends to is shaded' : 'What attends to it is shaded';
  // Where the token itself is shaded, its shade says the number.
  const isShaded = !isSame || shades.some((shade) => shade.tokens.includes(token));
  const ownLine = isShaded ? '' : `; ${own} attends to itself with weight ${formatWeight(weights[token] ?? 0)}`;
  return {
    shades: shades.map((shade) => ({
      ...shade,
      hover: `${shade.tokens
        .filter((other) => weights[other] !== undefined)
        .map(line)
        .join('\n')}\n(${where})`,
    })),
    mark: { start, end, hover: `${capital(own)}. ${what}${ownLine} (${where}).` },
  };
}

function capital(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1);
}

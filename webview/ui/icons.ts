/** Small line icons in the text's colour, decoration only: what carries one has its own label. */
import { html, type TemplateResult } from 'lit';

const paths = {
  add: 'M8 2.5v11M2.5 8h11',
  branch:
    'M4.5 5.5v5M4.5 9c4 0 7-.5 7-3M4.5 5.5a1.7 1.7 0 1 0 0-3.4 1.7 1.7 0 0 0 0 3.4ZM4.5 13.9a1.7 1.7 0 1 0 0-3.4 1.7 1.7 0 0 0 0 3.4ZM11.5 6a1.7 1.7 0 1 0 0-3.4 1.7 1.7 0 0 0 0 3.4Z',
  close: 'm3.5 3.5 9 9M12.5 3.5l-9 9',
  collapse: 'm3.5 6 4.5 4.5L12.5 6',
  copy: 'M5.5 5.5h8v8h-8zM10.5 5.5v-3h-8v8h3',
  edit: 'm2.5 13.5.8-3.2 7.4-7.4a1.2 1.2 0 0 1 1.7 0l.7.7a1.2 1.2 0 0 1 0 1.7l-7.4 7.4-3.2.8Z',
  expand: 'm6 3.5 4.5 4.5L6 12.5',
  eye: 'M1.5 8S4 3.5 8 3.5 14.5 8 14.5 8 12 12.5 8 12.5 1.5 8 1.5 8ZM8 10a2 2 0 1 0 0-4 2 2 0 0 0 0 4Z',
  info: 'M8 14.5a6.5 6.5 0 1 0 0-13 6.5 6.5 0 0 0 0 13ZM8 7v4.5M8 4.5v.8',
  insert: 'M9.5 2.5h4v11h-4M1.5 8h8M6.5 5l3 3-3 3',
  next: 'm6 3.5 4.5 4.5L6 12.5',
  previous: 'm10 3.5-4.5 4.5 4.5 4.5',
  pin: 'M6 2.5h4l-.5 4.5 2.5 2v1H4V9l2.5-2L6 2.5ZM8 10v4',
  play: 'm4.5 2.8 8 5.2-8 5.2V2.8Z',
  continue: 'M2.5 3.5v9l6-4.5-6-4.5ZM12.5 3.5v9',
  reset: 'M3 3v4h4M3.3 7A5 5 0 1 1 3 9.5',
  settings:
    'M2.5 4.5h6M11.5 4.5h2M2.5 11.5h2M7.5 11.5h6M10 6.2a1.7 1.7 0 1 0 0-3.4 1.7 1.7 0 0 0 0 3.4ZM6 13.2a1.7 1.7 0 1 0 0-3.4 1.7 1.7 0 0 0 0 3.4Z',
  stop: 'M4 4h8v8H4z',
  trash: 'M2.5 4.5h11M6 4.5v-2h4v2M4 4.5l.7 9h6.6l.7-9M6.7 7v4M9.3 7v4',
  warning: 'M8 2 1.5 13.5h13L8 2ZM8 6.5v3.5M8 11.2v.8',
} as const;

export type IconName = keyof typeof paths;

export function icon(name: IconName): TemplateResult {
  return html`<svg
    class="icon" width="16" height="16" viewBox="0 0 16 16" fill="none" stroke="currentColor" stroke-width="1.2"
    stroke-linecap="round" stroke-linejoin="round" aria-hidden="true" focusable="false"
  ><path d=${paths[name]}></path></svg>`;
}

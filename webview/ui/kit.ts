/**
 * The components of our pages. The only importer of the webview UI toolkit, so that it can be replaced in one place;
 * the toolkit has no slider, so ours is defined here too.
 */
import {
  provideVSCodeDesignSystem,
  vsCodeButton,
  vsCodeCheckbox,
  vsCodeDropdown,
  vsCodeOption,
  vsCodeProgressRing,
  vsCodeTextField,
} from '@vscode/webview-ui-toolkit';
import { GlassSlider } from './slider.ts';

/**
 * Defines `vscode-button`, `vscode-checkbox`, `vscode-dropdown`, `vscode-option`, `vscode-progress-ring`,
 * `vscode-text-field` and `glass-slider`. A page calls it once, first.
 */
export function registerKit(): void {
  provideVSCodeDesignSystem().register(
    vsCodeButton(),
    vsCodeCheckbox(),
    vsCodeDropdown(),
    vsCodeOption(),
    vsCodeProgressRing(),
    vsCodeTextField(),
  );
  if (!customElements.get('glass-slider')) customElements.define('glass-slider', GlassSlider);
}

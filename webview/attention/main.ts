/** Entry of the attention page. */
import { attentionHostContract, attentionPageContract } from '../../src/shared/attention-contract.ts';
import { Peer } from '../../src/shared/peer.ts';
import { registerKit } from '../ui/kit.ts';
import { openPage } from '../ui/port.ts';
import { AttentionApp } from './attention-app.ts';
import { CausalCard } from './causal-card.ts';
import { AttentionHeadGrid } from './head-grid.ts';
import { AttentionHeatmap } from './heatmap.ts';
import { PanelModel } from './panel-model.ts';
import { AttentionPatchGrid } from './patch-grid.ts';
import { AttentionTabs } from './stack-tabs.ts';
import { AttentionTokens } from './token-text.ts';

registerKit();
customElements.define('attention-app', AttentionApp);
customElements.define('attention-causal-card', CausalCard);
customElements.define('attention-heatmap', AttentionHeatmap);
customElements.define('attention-head-grid', AttentionHeadGrid);
customElements.define('attention-tokens', AttentionTokens);
customElements.define('attention-tabs', AttentionTabs);
customElements.define('attention-patch-grid', AttentionPatchGrid);

const page = openPage();
const app = new AttentionApp();
const peer: Peer<typeof attentionPageContract, typeof attentionHostContract> = new Peer({
  port: page.port,
  serves: attentionPageContract,
  calls: attentionHostContract,
  handlers: { state: (state) => void model.receive(state) },
  onFault: (fault) => console.warn(fault),
});
const model: PanelModel = new PanelModel(
  peer,
  () => app.requestUpdate(),
  (kept) => page.saveState(kept),
);
app.model = model;
document.body.append(app);
void model.start(page.loadState());

/** Entry of the playground page. */
import { Peer } from '../../src/shared/peer.ts';
import { playgroundHostContract, playgroundPageContract } from '../../src/shared/playground-contract.ts';
import { registerKit } from '../ui/kit.ts';
import { openPage } from '../ui/port.ts';
import { PlaygroundApp } from './playground-app.ts';
import { PlaygroundSession } from './session.ts';
import { TokenDetails } from './token-details.ts';
import { TokenView } from './token-view.ts';

registerKit();
customElements.define('token-view', TokenView);
customElements.define('token-details', TokenDetails);
customElements.define('playground-app', PlaygroundApp);

const page = openPage();
const app = document.createElement('playground-app') as PlaygroundApp;
const host = new Peer({
  port: page.port,
  serves: playgroundPageContract,
  calls: playgroundHostContract,
  handlers: {
    engineState: (state) => {
      session.setEngine(state);
      return undefined;
    },
    open: async (opening) => {
      await session.open(opening);
      return undefined;
    },
  },
});
const session = new PlaygroundSession({
  host,
  saveState: (draft) => page.saveState(draft),
  onChange: () => app.requestUpdate(),
});
app.session = session;
document.body.append(app);
void session.start(page.loadState());

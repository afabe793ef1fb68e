/** Entry of the Model page: the engine's home, and the view of its state. */
import {
  type ModelAction,
  type ModelView,
  modelHostContract,
  modelPageContract,
} from '../../src/shared/model-page-contract.ts';
import { Peer } from '../../src/shared/peer.ts';
import { patience } from '../../src/shared/watchdog.ts';
import { registerKit } from '../ui/kit.ts';
import { openPage } from '../ui/port.ts';
import { EngineHome, forwardEngineMethods } from './engine-home.ts';
import { ModelPanel } from './model-panel.ts';

const statsDelayMs = 300;

registerKit();
customElements.define('model-panel', ModelPanel);
const panel = new ModelPanel();
document.body.append(panel);

const { dist = '', tickMs, silentTicks } = document.body.dataset;
let statsTimer: ReturnType<typeof setTimeout> | undefined;

const home = new EngineHome({
  distUrl: dist,
  patience: {
    tickMs: Number(tickMs ?? patience.tickMs),
    silentTicks: Number(silentTicks ?? patience.silentTicks),
  },
  onDied: ({ code, message }) => void host.call('engineDied', { code, message }).catch(() => undefined),
  onFault: (fault) => warn(fault),
  onActivity: ({ running, generated }) => {
    panel.isWorking = running > 0;
    if (generated) panel.lastRun = generated;
    if (running === 0) refreshStats();
  },
});

const host = new Peer({
  port: openPage().port,
  serves: modelPageContract,
  calls: modelHostContract,
  handlers: {
    ...forwardEngineMethods(home),
    load: (params, context) => home.load(params, context),
    unload: () => home.unload(),
    show: (view) => show(view),
  },
  onFault: (fault) => warn(fault),
});

panel.addEventListener('model-action', (event) => {
  const action = (event as CustomEvent<ModelAction>).detail;
  void host.call('act', { action }).catch(() => undefined);
});

void host.call('ready', undefined).then(show, () => undefined);

function show(view: ModelView): void {
  const wasReady = panel.view?.state.kind === 'ready';
  panel.view = view;
  if (view.state.kind === 'ready') {
    if (!wasReady) refreshStats();
  } else {
    panel.lastRun = undefined;
    panel.stats = undefined;
  }
}

/** After work, not during it, and once for a burst of calls. */
function refreshStats(): void {
  clearTimeout(statsTimer);
  statsTimer = setTimeout(async () => {
    panel.stats = await home.stats();
  }, statsDelayMs);
}

function warn(message: string): void {
  void host.call('log', { level: 'warn', message }).catch(() => undefined);
}

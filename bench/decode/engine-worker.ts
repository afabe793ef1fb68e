/**
 * The engine worker as it is shipped, with one thing more: `self.glassheadBench`, which times forward passes of the
 * loaded model where they happen, free of messages and of the page.
 */
import { serveEngine } from '../../webview/engine/serve-engine.ts';
import { loadSession } from '../../webview/engine/worker-session.ts';
import { SessionBench } from './session-bench.ts';

declare global {
  // Only a `var` becomes a property of the worker's scope, where Playwright finds it.
  var glassheadBench: SessionBench | undefined;
}

serveEngine(async (request, options) => {
  const session = await loadSession(request, options);
  if (session.kind === 'decoder') globalThis.glassheadBench = new SessionBench(session);
  return session;
});

/** Entry of the engine worker. */
import './hub/session-seam.ts';
import { serveEngine } from './serve-engine.ts';

serveEngine();

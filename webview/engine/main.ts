/** Entry of the engine worker. */
import { serveEngine } from './serve-engine.ts';

serveEngine();

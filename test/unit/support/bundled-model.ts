/** The bundled models' own files, for tests that need no runtime. */
import { readFileSync } from 'node:fs';
import { TextCodec } from '../../../webview/engine/text/text-codec.ts';

export function readModelJson(model: string, file: string): unknown {
  return JSON.parse(readFileSync(new URL(`../../../media/models/${model}/${file}`, import.meta.url), 'utf8'));
}

export function bundledCodec(model = 'SmolLM2-135M-Instruct'): TextCodec {
  return new TextCodec({
    tokenizer: readModelJson(model, 'tokenizer.json'),
    tokenizerConfig: readModelJson(model, 'tokenizer_config.json'),
  });
}

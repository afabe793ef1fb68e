/** The settings of package.json, typed. Nothing else in the extension reads the configuration. */
import * as vscode from 'vscode';
import type { Arithmetic, CachePrecision, DeviceChoice } from '../shared/engine-contract.ts';

export interface Settings {
  readonly model: string;
  readonly device: DeviceChoice;
  readonly arithmetic: Arithmetic;
  readonly cacheLimitMB: number;
  readonly cachePrecision: CachePrecision;
  /** 0: automatic. */
  readonly threads: number;
  /** The longest text whose attention is inspected. */
  readonly attentionMaxTokens: number;
  readonly prompts: {
    /** Empty: the model's own. */
    readonly systemPrompt: string;
    readonly maxTokens: number;
    readonly temperature: number;
  };
  /** Language identifier -> whether completions are suggested; "*" stands for all others. */
  readonly completionLanguages: Readonly<Record<string, boolean>>;
  readonly completionContextTokens: number;
  /** Completions may load the model by themselves. */
  readonly completionAutoLoad: boolean;
}

/** `scope` decides which folder's and which language's values count. */
export function readSettings(scope?: vscode.ConfigurationScope): Settings {
  const section = vscode.workspace.getConfiguration('glasshead', scope);
  const read = <T>(name: string): T => section.get<T>(name) as T;
  return {
    model: read('model'),
    device: read('device'),
    arithmetic: read('arithmetic'),
    cacheLimitMB: read('cacheLimitMB'),
    cachePrecision: read('cachePrecision'),
    threads: read('threads'),
    attentionMaxTokens: read('attention.maxTokens'),
    prompts: {
      systemPrompt: read('prompts.systemPrompt'),
      maxTokens: read('prompts.maxTokens'),
      temperature: read('prompts.temperature'),
    },
    completionLanguages: read('completions.languages'),
    completionContextTokens: read('completions.contextTokens'),
    completionAutoLoad: read('completions.autoLoad'),
  };
}

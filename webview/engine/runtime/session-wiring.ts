/** Which input and output of a decoder session is what, by name pattern and shape. */
import type { InferenceSession } from 'onnxruntime-web';
import { AppError } from '../../../src/shared/app-error.ts';
import { logitsRowsInput } from '../graph/logits-rows.ts';

/** Names of one layer's past. */
interface LayerNames {
  readonly pastKey: string;
  readonly pastValue: string;
  readonly presentKey: string;
  readonly presentValue: string;
}

export interface SessionWiring {
  readonly inputIds: string;
  readonly attentionMask: string | undefined;
  readonly positionIds: string | undefined;
  /** Chooses rows of logits: those listed, or the last so many (0: all). */
  readonly rows: { readonly name: string; readonly kind: 'list' | 'keep' } | undefined;
  readonly logits: string;
  readonly layers: readonly LayerNames[];
  readonly kvType: 'float32' | 'float16';
  readonly kvHeads: number;
  readonly headDim: number;
}

const keepInputs = ['num_logits_to_keep', 'logits_to_keep'];

/**
 * `added`: inputs that our own edit added.
 * @throws AppError `model-unsupported` naming the inputs that are not known.
 */
export function wireSession(session: InferenceSession, added: readonly string[] = []): SessionWiring {
  const inputs = new Set(session.inputNames.filter((name) => !added.includes(name)));
  const take = (name: string) => (inputs.delete(name) ? name : undefined);
  const inputIds = take('input_ids');
  const attentionMask = take('attention_mask');
  const positionIds = take('position_ids');
  const list = take(logitsRowsInput);
  const keep = keepInputs.map(take).find((name) => name !== undefined);
  const layers = pastPairs(session, inputs);
  const logits = session.outputNames.find((name) => name === 'logits');
  if (!inputIds || !logits || layers.length === 0)
    throw unsupported('it is no decoder with input_ids, past keys and values, and logits');
  if (inputs.size > 0) throw unsupported(`its inputs ${[...inputs].join(', ')} are not known here`);

  const past = session.inputMetadata.find(({ name }) => name === layers[0]!.pastKey);
  const [, kvHeads, , headDim] = past?.isTensor ? past.shape : [];
  if (!past?.isTensor || typeof kvHeads !== 'number' || typeof headDim !== 'number' || past.shape.length !== 4)
    throw unsupported('the shape of its past keys is not [batch, heads, tokens, head size]');
  if (past.type !== 'float32' && past.type !== 'float16') throw unsupported(`its past keys are ${past.type}`);
  const rows = list ? { name: list, kind: 'list' as const } : keep ? { name: keep, kind: 'keep' as const } : undefined;
  return { inputIds, attentionMask, positionIds, rows, logits, layers, kvType: past.type, kvHeads, headDim };
}

const presentName = /^present\D*(\d+)\D(key|value)$/;

/** Those of the outputs that hold keys and values. */
export function presentOutputs(names: readonly string[]): string[] {
  return names.filter((name) => presentName.test(name));
}

/** `past_key_values.N.key` goes with `present.N.key`; the order is that of N. */
function pastPairs(session: InferenceSession, inputs: Set<string>): LayerNames[] {
  const outputs = new Map<string, string>();
  for (const name of session.outputNames) {
    const found = presentName.exec(name);
    if (found) outputs.set(`${found[1]}.${found[2]}`, name);
  }
  const keys = [...inputs].flatMap((name) => {
    const found = /^(past\D*?)(\d+)(\D)key$/.exec(name);
    return found ? [{ name, index: Number(found[2]), value: `${found[1]}${found[2]}${found[3]}value` }] : [];
  });
  keys.sort((a, b) => a.index - b.index);
  return keys.map(({ name: pastKey, index, value: pastValue }) => {
    const [presentKey, presentValue] = [outputs.get(`${index}.key`), outputs.get(`${index}.value`)];
    if (!inputs.has(pastValue) || !presentKey || !presentValue)
      throw unsupported(`layer ${index} lacks one of past value, present key and present value`);
    inputs.delete(pastKey);
    inputs.delete(pastValue);
    return { pastKey, pastValue, presentKey, presentValue };
  });
}

function unsupported(what: string): AppError {
  return new AppError('model-unsupported', `This model cannot be run: ${what}. Choose another model.`);
}

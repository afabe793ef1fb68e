/** Tells from config.json and the graphs of a folder what kind of model it holds. */
import * as v from 'valibot';
import { AppError } from '../../src/shared/app-error.ts';
import type { ModelKind } from '../../src/shared/engine-contract.ts';

const configSchema = v.looseObject({
  model_type: v.fallback(v.string(), ''),
  architectures: v.fallback(v.nullish(v.array(v.string())), undefined),
  is_encoder_decoder: v.fallback(v.optional(v.boolean()), undefined),
  is_decoder: v.fallback(v.optional(v.boolean()), undefined),
});

const generates = /(ForCausalLM|LMHeadModel|LMHead)$/;
const readsWholeText =
  /For(MaskedLM|PreTraining|SequenceClassification|TokenClassification|QuestionAnswering|MultipleChoice)$/;
const seesPictures = /For(Masked)?(ImageClassification|ImageModeling|ImageFeatureExtraction)(WithTeacher)?$/;

/** `model_type` of encoders, as https://huggingface.co/docs/transformers names them. */
const encoders = new Set(
  `albert bert big_bird camembert convbert data2vec-text deberta deberta-v2 distilbert electra ernie esm eurobert flaubert
  funnel ibert layoutlm longformer megatron-bert mobilebert modernbert mpnet neobert nomic_bert nystromformer rembert
  roberta roberta-prelayernorm roformer squeezebert xlm xlm-roberta xlm-roberta-xl xmod`.split(/\s+/),
);

/** Of models that read a picture as patches; those of text and picture count where their graph takes pictures. */
const pictureReaders = new Set(
  `altclip beit chinese_clip clip clip_vision_model data2vec-vision deit dinov2 dinov2_with_registers dinov3_vit
  hiera ijepa metaclip_2 mobilevit pvt siglip siglip2 siglip_vision_model swin swinv2 vit vit_hybrid vit_mae vit_msn
  yolos`.split(/\s+/),
);

/** Of models whose input is sound. */
const listeners =
  /^(whisper|wav2vec2|hubert|wavlm|unispeech|data2vec-audio|speech|moonshine|audio-spectrogram|clap|sew)/;

/**
 * @param paths of the files that are there
 * @throws AppError `model-unsupported` for models of sound, and of pictures that write text.
 */
export function modelKindOf(config: unknown, paths: readonly string[]): ModelKind {
  const parsed = v.safeParse(configSchema, config);
  if (!parsed.success) return 'decoder';
  const { model_type: type, architectures, is_encoder_decoder: isPair, is_decoder: isDecoder } = parsed.output;
  const names = architectures ?? [];
  if (listeners.test(type)) throw unsupported(type, 'it hears sound');
  if (type === 'vision-encoder-decoder') throw unsupported(type, 'it writes text about pictures');
  if (isPair || hasGraph(paths, 'encoder_model')) return 'encoder-decoder';
  if (isDecoder || names.some((name) => generates.test(name))) return 'decoder';
  const readsPictures = pictureReaders.has(type) || names.some((name) => seesPictures.test(name));
  if (readsPictures) return hasGraph(paths, 'text_model') && !hasGraph(paths, 'vision_model') ? 'encoder' : 'vision';
  if (encoders.has(type) || names.some((name) => readsWholeText.test(name))) return 'encoder';
  return 'decoder';
}

/** Whether there is a graph of that name in any precision, such as `encoder_model_q4.onnx`. */
function hasGraph(paths: readonly string[], name: string): boolean {
  return paths.some((path) => path.endsWith('.onnx') && path.slice(path.lastIndexOf('/') + 1).startsWith(name));
}

function unsupported(type: string, what: string): AppError {
  return new AppError(
    'model-unsupported',
    `Glasshead cannot run a model of the type "${type}": ${what}. Choose a model that reads text or a picture.`,
  );
}

const kindNames: Readonly<Record<Exclude<ModelKind, 'decoder'>, string>> = {
  encoder: 'an encoder, which reads text and writes none',
  'encoder-decoder': 'an encoder-decoder, which rewrites one text into another',
  vision: 'a vision model, which reads pictures',
};

/** Of a call that only a decoder can answer. */
export function noPrompts(modelName: string, kind: Exclude<ModelKind, 'decoder'>): AppError {
  const what = `${modelName} is ${kindNames[kind]}: prompts and completions need a decoder`;
  return new AppError(
    'model-unsupported',
    `${what}. Choose another model with “Glasshead: Choose Model…”; the Attention panel works with this one.`,
  );
}

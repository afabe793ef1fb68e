/** The models that come with the extension, in media/models: what each is for, its files, and what they must be. */
import type { ModelDescription } from './model-description.ts';

export const bundledModels: readonly ModelDescription[] = [
  {
    id: 'SmolLM2-135M-Instruct',
    name: 'SmolLM2-135M-Instruct',
    license: 'Apache-2.0',
    role: 'generate',
    files: [
      {
        path: 'config.json',
        sizeBytes: 1014,
        sha256: '3c220c82603dd4a03a661360324b611695a2210678b5c310ec0b6447078aad1c',
      },
      {
        path: 'generation_config.json',
        sizeBytes: 101,
        sha256: '4087719cbdf36c9433953c90390b58f60f84bccd46b208eb0e052b89d6c2f6b4',
      },
      {
        path: 'onnx/model_q4.onnx',
        sizeBytes: 319_281,
        sha256: '6e2ff80a8974d4b4cf2d6ae4d80980536d2f5ae6788a08e188f887536e74986b',
      },
      {
        path: 'onnx/model_q4.onnx_data',
        sizeBytes: 98_673_920,
        sha256: '5136475f2c942ff497c1f59cca897dbe97927d9d82c1b3f5ca8c03e33c081560',
        chunksSha256: 'a49325d6c2c26f7ca65bc60c6d4050d6fbaa405a572f136f135d7fbc6bd838d7',
      },
      {
        path: 'tokenizer.json',
        sizeBytes: 1_563_266,
        sha256: '6db8a0d457633d96766ad1fe365fb7741dbb085da311ae1478385670211e1e33',
      },
      {
        path: 'tokenizer_config.json',
        sizeBytes: 655,
        sha256: '361533300adeb0527946cbfbcd33be6b973fa545af09bb33793fb1937acd2745',
      },
    ],
  },
  {
    id: 'all-MiniLM-L6-v2',
    name: 'all-MiniLM-L6-v2',
    license: 'Apache-2.0',
    role: 'encode',
    files: [
      {
        path: 'config.json',
        sizeBytes: 612,
        sha256: '953f9c0d463486b10a6871cc2fd59f223b2c70184f49815e7efbcab5d8908b41',
      },
      {
        path: 'onnx/model_quantized.onnx',
        sizeBytes: 22_928_619,
        sha256: '8199be6f699a395f99f89df973f9dc5285fbcfcdb2ae1a4e1201dab014f3d2a6',
        chunksSha256: '0acaf2a9b61cb6bbeb296d8f59357ed281ffd410ec907a5a8032ef53551a0e6b',
      },
      {
        path: 'special_tokens_map.json',
        sizeBytes: 112,
        sha256: '303df45a03609e4ead04bc3dc1536d0ab19b5358db685b6f3da123d05ec200e3',
      },
      {
        path: 'tokenizer.json',
        sizeBytes: 466_247,
        sha256: 'be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037',
      },
      {
        path: 'tokenizer_config.json',
        sizeBytes: 350,
        sha256: 'acb92769e8195aabd29b7b2137a9e6d6e25c476a4f15aa4355c233426c61576b',
      },
    ],
  },
];

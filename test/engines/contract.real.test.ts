import { rmSync } from 'node:fs';
import path from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import { call, transcribe, wordsOf } from '../setup/api.ts';
import { audio } from '../setup/checkout.ts';
import { createHome } from '../setup/create-home.ts';
import { launchGateway } from '../setup/launch.ts';
import { likeMac } from '../setup/mac.ts';
import { toyModels } from '../setup/toy-models.ts';
import { contract, expectInOrder, type Subject } from './contract.ts';

const subjects: Subject[] = [
  { engine: 'faster-whisper', model: 'whisper-base', weights: 'real', words: true, damage: 'model.bin' },
  {
    engine: 'faster-whisper',
    model: 'whisper-tiny',
    weights: 'toy',
    words: true,
    draws: true,
    damage: 'tokenizer.json',
  },
  {
    engine: 'onnx-asr',
    model: 'whisper-base-onnx',
    weights: 'real',
    words: false,
    damage: 'decoder_model_merged_quantized.onnx',
  },
  {
    engine: 'onnx-asr',
    model: 'parakeet-tdt-0.6b-v3-onnx',
    weights: 'toy',
    words: true,
    damage: 'encoder-model.int8.onnx',
  },
  {
    engine: 'onnx-asr',
    model: 'canary-1b-v2-onnx',
    weights: 'toy',
    words: false,
    damage: 'decoder-model.int8.onnx',
  },
  {
    engine: 'nemo',
    model: 'parakeet-tdt-0.6b-v3',
    weights: 'toy',
    words: true,
    damage: 'parakeet-tdt-0.6b-v3.nemo',
  },
  {
    engine: 'parakeet-mlx',
    model: 'parakeet-tdt-0.6b-v3-mlx',
    weights: 'toy',
    words: true,
    mac: true,
    damage: 'model.safetensors',
  },
  { engine: 'mock', model: 'mock-echo', weights: 'mock', words: true, damage: null },
];

let toys: string;
// The installation of an engine may be part of it.
beforeAll(async () => {
  toys = await toyModels();
}, 900_000);

describe.each(subjects)('$engine, $model ($weights)', (subject) => contract(subject, () => toys));

// MLX computes on the CPU here, 20 s for a window: one short file, and the rest is the engine that the cases above are of.
test('faster-whisper on the GPU of a Mac, whisper-tiny.en (real): text and words', async () => {
  const home = createHome(true);
  const model = 'whisper-tiny.en';
  const environment = await likeMac({ folder: path.join(home, 'mac') });
  const gateway = await launchGateway({ home, environment, args: ['--model', model] });
  try {
    const short = audio('librispeech/test-other/1688-142285-0002.flac');
    const fields = { model, response_format: 'verbose_json', 'timestamp_granularities[]': 'word' };
    const { json, status, text } = await transcribe(gateway.url, short, fields);
    expect(status, text).toBe(200);
    expect(wordsOf(json.text)).toBe(wordsOf("You don't mean that you thought me so silly."));
    expect(wordsOf(json.words.map(({ word }: { word: string }) => word).join(' '))).toBe(wordsOf(json.text));
    expectInOrder(json.words, json.duration);
    expect((await call(gateway.url, '/v1/settings/model')).json).toMatchObject({ model, device: 'mps' });
  } finally {
    await gateway.stop();
  }
  rmSync(home, { recursive: true });
}, 300_000);

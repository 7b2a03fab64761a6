import { beforeAll, describe } from 'vitest';
import { toyModels } from '../setup/toy-models.ts';
import { contract, type Subject } from './contract.ts';

const subjects: Subject[] = [
  {
    engine: 'faster-whisper',
    model: 'whisper-tiny.en',
    weights: 'real',
    words: true,
    damage: ['model.bin'],
  },
  {
    engine: 'onnx-asr',
    model: 'whisper-tiny.en-onnx',
    weights: 'real',
    words: false,
    damage: ['decoder_model_merged_quantized.onnx'],
  },
  {
    engine: 'onnx-asr',
    model: 'parakeet-tdt-0.6b-v3-onnx',
    weights: 'toy',
    words: true,
    damage: ['encoder-model.int8.onnx'],
  },
  {
    engine: 'onnx-asr',
    model: 'canary-1b-v2-onnx',
    weights: 'toy',
    words: false,
    damage: ['decoder-model.int8.onnx'],
  },
  {
    engine: 'nemo',
    model: 'parakeet-tdt-0.6b-v3',
    weights: 'toy',
    words: true,
    // python-runtime/tests/nemo_engine has damaged files. Here each would import NeMo twice, fifteen seconds.
    damage: [],
  },
  {
    engine: 'parakeet-mlx',
    model: 'parakeet-tdt-0.6b-v3-mlx',
    weights: 'toy',
    words: true,
    mac: true,
    damage: ['model.safetensors'],
  },
  { engine: 'mock', model: 'mock-echo', weights: 'mock', words: true, damage: [] },
];

let toys: string;
// This may install an engine.
beforeAll(async () => {
  toys = await toyModels();
}, 900_000);

describe.each(subjects)('$engine, $model ($weights)', (subject) => contract(subject, () => toys));

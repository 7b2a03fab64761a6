import { mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { expect, test } from 'vitest';
import { catalogueModels } from '../../src/models/catalogue.ts';
import { checkRequest } from '../../src/transcription/check.ts';
import type { TranscriptionRequest } from '../../src/transcription/types.ts';
import { temporaryHome } from '../setup/home.ts';
import { libraryIn, whisper, write } from './library.ts';

const request = { task: 'transcribe', language: null } as TranscriptionRequest;
/** Pairs of layer and head, from the conversions of these models. */
const heads = {
  tiny: [2, 3, 3, 3, 3, 3].map((layer, at) => [layer, at]),
  large: [[7, 0], [10, 17], [12, 18], [13, 12], [16, 1], [17, 14], [19, 11], [21, 4], [24, 1], [25, 6]], // biome-ignore format: pairs
  turbo: [[2, 4], [2, 11], [3, 3], [3, 6], [3, 11], [3, 14]], // biome-ignore format: pairs
  distil: Array.from({ length: 20 }, (_, head) => [1, head]),
};

const withHeads = (alignment_heads: number[][]) => ({
  ...whisper(),
  'config.json': JSON.stringify({ suppress_ids_begin: [220, 50257], alignment_heads }),
});

const onnx = (model_type: string, config: object, graphs: string[], tokens: string[]) => ({
  'config.json': JSON.stringify({ model_type, ...config }),
  ...Object.fromEntries([...graphs.map((graph) => `${graph}.onnx`), ...tokens].map((name) => [name, 'x'])),
});
const onnxWhisper = (config: object) =>
  onnx('whisper', config, ['encoder_model', 'decoder_model_merged'], ['vocab.json', 'added_tokens.json']);
const parakeet = (kind: string) =>
  onnx(`nemo-conformer-${kind}`, {}, kind === 'ctc' ? ['model'] : ['encoder-model', 'decoder_joint-model'], [
    'vocab.txt',
  ]);

const canary = onnx('nemo-conformer-aed', {}, ['encoder-model', 'decoder-model'], ['vocab.txt']);
const gigaam = (name: string) =>
  onnx(
    'gigaam',
    { version: 'v3' },
    name.endsWith('rnnt') ? ['encoder', 'decoder', 'joint'].map((part) => `${name}_${part}`) : [name],
    [`${name}_vocab.txt`],
  );

/** A `model.bin` of CTranslate2: a header, then each variable with name, shape, type, size and numbers. */
function weights(encoder: number, decoder: number, vocabulary: number): Buffer {
  const names = [
    ['decoder/embeddings/weight', [vocabulary, 1]] as const,
    ...Array.from({ length: decoder }, (_, layer) => [`decoder/layer_${layer}/ffn/weight`, [1, 1]] as const),
    ...Array.from({ length: encoder }, (_, layer) => [`encoder/layer_${layer}/ffn/weight`, [1, 1]] as const),
  ];
  const u32 = (...values: number[]) => Buffer.concat(values.map((value) => Buffer.from(Uint32Array.of(value).buffer)));
  const text = (value: string) =>
    Buffer.concat([Buffer.from(Uint16Array.of(value.length + 1).buffer), Buffer.from(`${value}\0`)]);
  const variables = names.map(([name, shape]) =>
    Buffer.concat([text(name), Buffer.from([2]), u32(...shape), Buffer.from([0]), u32(700), Buffer.alloc(700)]),
  );
  return Buffer.concat([u32(6), text('WhisperSpec'), u32(3, variables.length), ...variables]);
}

/** Finds the model in a folder of this name. */
async function found(name: string, files: Record<string, string>, more: Record<string, Buffer> = {}) {
  const home = temporaryHome();
  const folder = path.join(home, 'mine', name);
  mkdirSync(folder, { recursive: true });
  write(folder, files);
  for (const [file, bytes] of Object.entries(more)) writeFileSync(path.join(folder, file), bytes);
  return (await libraryIn(home, { searchDirectories: [path.join(home, 'mine')] }).find(name))!;
}

test.each([
  ['fast', heads.turbo, 'turbo', false],
  ['pocket', heads.distil, 'distil', false],
  ['turbo-fan-noise', heads.large, 'whisper', true],
  ['distillery', heads.tiny, 'whisper', true],
])('%s is recognised by its files and not by its name', async (name, given, family, translates) => {
  const model = await found(name, withHeads(given));
  expect(model).toMatchObject({ ready: true, family });
  const translate = () => checkRequest({ ...request, task: 'translate' }, model);
  if (translates) expect(translate).not.toThrow();
  else expect(translate).toThrow('cannot translate');
});

test.each([
  [32, 4, 51866, 'turbo', 'many'],
  [32, 2, 51866, 'distil', null],
  [24, 2, 51864, 'distil', ['en']],
  [12, 12, 51864, 'english-only', ['en']],
  [32, 32, 51866, 'whisper', 'many'],
])('weights with %i and %i layers and %i tokens', async (encoder, decoder, vocabulary, family, languages) => {
  const files = { ...whisper(), 'config.json': '{"lang_ids":[]}' };
  const model = await found('fast', files, { 'model.bin': weights(encoder, decoder, vocabulary) });
  const expected = languages === 'many' ? expect.arrayContaining(['de', 'en', 'zh']) : languages;
  expect(model).toMatchObject({ ready: true, family, languages: expected });
});

test('weights that are cut short or have another format cause no failure', async () => {
  const whole = weights(32, 4, 51866);
  for (const bytes of [whole.subarray(0, 40), Buffer.alloc(5), Buffer.alloc(9000, 255), Buffer.from('weights')]) {
    expect(await found('odd', whisper(), { 'model.bin': bytes })).toMatchObject({ family: 'whisper' });
  }
});

test.each([
  ['whisperer-tdt', parakeet('tdt'), 'tdt', true],
  ['my-whisper', parakeet('ctc'), 'ctc', true],
  ['gigaam', gigaam('v3_e2e_ctc'), 'ctc', true],
  ['gigaam-of-many', { ...gigaam('v3_e2e_ctc'), ...gigaam('v3_e2e_rnnt') }, 'rnnt', true],
  ['flying-canary', canary, 'aed', false],
  ['parakeet', onnxWhisper({ vocab_size: 51865 }), 'whisper', false],
  ['fast', onnxWhisper({ vocab_size: 51866, encoder_layers: 32, decoder_layers: 4 }), 'turbo', false],
  ['english', onnxWhisper({ vocab_size: 51864 }), 'english-only', false],
])('%s, an ONNX model, has word times if its family has them', async (name, files, family, timed) => {
  const model = await found(name, files);
  expect(model).toMatchObject({ ready: true, family });
  const words = () => checkRequest({ ...request, wordTimestamps: true }, model);
  if (timed) expect(words).not.toThrow();
  else expect(words).toThrow('no word timestamps');
});

test('without languages in the files the languages are unknown, and none is refused', async () => {
  const unknown = [
    await found('a', parakeet('tdt')),
    await found('b', withHeads(heads.distil)),
    await found('c', { ...whisper(), 'config.json': '{}' }),
  ];
  for (const model of unknown) {
    expect(model.languages).toBeNull();
    expect(() => checkRequest({ ...request, language: 'de' }, model)).not.toThrow();
  }
  const english = await found('d', whisper(true));
  expect(() => checkRequest({ ...request, language: 'de' }, english)).toThrow('does not know the language');
});

test('in the catalogue family and languages match', () => {
  for (const { id, family, languages } of catalogueModels()) {
    if (family === 'english-only') expect(languages, id).toEqual(['en']);
    if (family === 'whisper' || family === 'turbo') expect(languages!.length, id).toBeGreaterThan(50);
  }
});

test('Canary translates and has log-probabilities, and GigaAM knows only Russian', async () => {
  const model = await found('bird', canary);
  expect(() => checkRequest({ ...request, task: 'translate', logprobs: true }, model)).not.toThrow();
  const russian = await found('sber', gigaam('v3_e2e_rnnt'));
  expect(russian).toMatchObject({ languages: ['ru'], ready: true });
  expect(() => checkRequest({ ...request, task: 'translate' }, russian)).toThrow('cannot translate');
  const { 'v3_e2e_rnnt_joint.onnx': _, ...less } = gigaam('v3_e2e_rnnt') as Record<string, string>;
  expect(await found('less', less)).toMatchObject({ ready: false, reason: expect.stringContaining('joint') });
});

test('every name leads to one model of the catalogue, and each model has files, languages and a licence', () => {
  const names = catalogueModels().flatMap((model) => [model.id, model.repo]);
  expect(names.filter((name, at) => names.indexOf(name) !== at)).toEqual([]);
  for (const { id, files, languages, engine, license } of catalogueModels()) {
    expect(files.length, id).toBeGreaterThan(0);
    expect(languages, id).not.toBeNull();
    if (engine === 'nemo') expect(license, id).not.toBeNull();
  }
});

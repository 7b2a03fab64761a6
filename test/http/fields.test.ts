import { gzipSync } from 'node:zlib';
import { expect, test } from 'vitest';
import { formValues } from '../../src/http/form-fields.ts';
import { ask, expectError, field, multipart, send, speech } from './multipart.ts';
import { sharedGateway } from './shared-gateway.ts';

const gateway = sharedGateway();
const verbose = ['model=mock-echo', 'response_format=verbose_json'];

test('20: two files are refused', async () => {
  const answer = await send(gateway.url, multipart([speech, field('model', 'mock-echo'), speech]));
  expectError(answer, 400, 'file', 'invalid_value');
});

test('21: unknown fields are ignored', async () => {
  const unknown = [
    'foo=bar',
    'hotwords=x',
    'vad_filter=true',
    'diarize=1',
    'task=translate',
    '__proto__=1',
    'constructor=1',
  ];
  const answer = await ask(gateway.url, ['model=mock-echo', ...unknown]);
  expect(answer.status).toBe(200);
  expect(answer.json.text).toContain('The task is transcribe.');
});

test.each(['attachment', 'constructor', 'toString'])('21: an unknown file %s is ignored', async (name) => {
  const other = { ...speech, name };
  const answer = await send(gateway.url, multipart([field('model', 'mock-echo'), other, speech]));
  expect(answer.status).toBe(200);
});

test.each([
  ['22: []', ['timestamp_granularities[]=word'], ['words']],
  ['23: no brackets', ['timestamp_granularities=word'], ['words']],
  ['24: indexed', ['timestamp_granularities[0]=word', 'timestamp_granularities[1]=segment'], ['segments', 'words']],
  ['24, 47: repeated', ['timestamp_granularities[]=word', 'timestamp_granularities[]=segment'], ['segments', 'words']],
  ['24: with commas', ['timestamp_granularities=word, segment'], ['segments', 'words']],
])('%s spelling of an array', async (_name, fields, keys) => {
  const { json } = await ask(gateway.url, [...verbose, ...fields]);
  expect(
    Object.keys(json)
      .filter((key) => ['segments', 'words'].includes(key))
      .sort(),
  ).toEqual(keys);
});

test('25: an unknown granularity is refused', async () => {
  const answer = await ask(gateway.url, [...verbose, 'timestamp_granularities[]=words']);
  expectError(answer, 400, 'timestamp_granularities', 'invalid_value');
  expect(answer.json.error.message).toMatch(/'segment'.*'word'/);
});

test('26: word times need verbose_json', async () => {
  const answer = await ask(gateway.url, ['model=mock-echo', 'response_format=json', 'timestamp_granularities[]=word']);
  expectError(answer, 400, 'timestamp_granularities', 'unsupported_value');
  expect(answer.json.error.message).toContain('verbose_json');
});

test.each(['0', '0.0', '1', '0.2', ''])('27: temperature=%s', async (text) => {
  expect((await ask(gateway.url, ['model=mock-echo', `temperature=${text}`])).status).toBe(200);
});

test.each(['1.5', '-1', 'NaN', 'abc', '0,5', 'Infinity', '0x1'])('27: temperature=%s is refused', async (text) => {
  expectError(await ask(gateway.url, ['model=mock-echo', `temperature=${text}`]), 400, 'temperature', 'invalid_value');
});

test('28: an empty prompt counts as no prompt, and a long one is accepted', async () => {
  const empty = await ask(gateway.url, ['model=mock-echo', 'prompt=']);
  expect(empty.json).toEqual((await ask(gateway.url, ['model=mock-echo'])).json);
  expect((await ask(gateway.url, ['model=mock-echo', `prompt=${'word '.repeat(2000)}`])).status).toBe(200);
});

test.each([
  [['chunking_strategy=auto']],
  [['chunking_strategy[type]=server_vad', 'chunking_strategy[threshold]=0.5']],
  [['chunking_strategy={"type":"server_vad"}']],
])('29: advisory: %s', async (fields) => {
  expect((await ask(gateway.url, ['model=mock-echo', ...fields])).status).toBe(200);
});

test('keywords reach the engine', async () => {
  const answer = await ask(gateway.url, ['model=mock-echo', 'keywords[]=Kubernetes', 'keywords[]=llama']);
  expect(answer.json.text).toContain('The keywords are Kubernetes llama.');
});

test('the first 64 keywords of at most 64 characters are used, and more do not fail the request', async () => {
  const words = Array.from({ length: 180 }, (_, index) => `word${index}`);
  const answer = await ask(gateway.url, [
    'model=mock-echo',
    `keywords[]=${'x'.repeat(65)}`,
    `keywords[]=${'🎧'.repeat(64)}`,
    ...words.map((word) => `keywords[]=${word}`),
  ]);
  expect(answer.status, answer.text).toBe(200);
  expect(answer.json.text).toContain(`The keywords are ${'🎧'.repeat(64)} word0 `);
  expect(answer.json.text).toMatch(/ word62\./);
});

test('no number and no length of keywords fails the upload', async () => {
  const words = Array.from({ length: 1000 }, (_, index) => `keywords[]=word${index}`);
  const fields = [...words, `keywords=${'many, '.repeat(10_000)}`, 'model=mock-echo'].map((text) =>
    field(text.split('=')[0]!, text.slice(text.indexOf('=') + 1)),
  );
  for (const parts of [
    [speech, ...fields],
    [...fields, speech],
  ]) {
    const answer = await send(gateway.url, multipart(parts));
    expect(answer.status, answer.text).toBe(200);
  }
});

test.each([
  ['as an array', ['languages[]=de', 'languages[]=EN'], 'The languages are de en.'],
  ['with commas', ['languages=de, en,de'], 'The languages are de en.'],
  ['one is as good as language', ['languages[]=de'], 'The language is de.'],
])('languages narrow the choice: %s', async (_name, fields, said) => {
  const { json } = await ask(gateway.url, ['model=mock-echo', ...fields]);
  expect(json.text).toContain(said);
});

test.each([[['language=fr', 'languages[]=de', 'languages[]=en']], [['languages[]=auto', 'languages[]=de']]])(
  'languages narrow nothing with %s',
  async (fields) => {
    const { json, status, text } = await ask(gateway.url, ['model=mock-echo', ...fields]);
    expect(status, text).toBe(200);
    expect(json.text).not.toContain('The languages');
  },
);

test('an unknown language in a list is named with its field', async () => {
  const answer = await ask(gateway.url, ['model=mock-echo', 'languages[]=de', 'languages[]=klingon']);
  expectError(answer, 400, 'languages', 'invalid_language_format');
  expect(answer.json.error.message).toContain('klingon');
});

test.each(['false', 'False', '0', ''])('60: stream=%s does not stream', async (text) => {
  const answer = await ask(gateway.url, ['model=mock-echo', `stream=${text}`]);
  expect(answer.headers.get('content-type')).toMatch(/^application\/json/);
});

test('60: stream=maybe is refused', async () => {
  expectError(await ask(gateway.url, ['model=mock-echo', 'stream=maybe']), 400, 'stream', 'invalid_value');
});

test('a text in UTF-16 that ends in the middle of a character becomes text that the worker can read', () => {
  const half = { value: 'a\ud83d', truncated: false };
  const fields = [
    { name: 'prompt', ...half },
    { name: 'keywords[]', ...half },
  ];
  expect(formValues(fields, { prompt: 'text', keywords: 'list' })).toEqual({
    prompt: 'a\ufffd',
    keywords: ['a\ufffd'],
  });
});

test('a compressed form is refused before it is read, with the reason', async () => {
  const { body, headers } = multipart([field('model', 'mock-echo'), speech]);
  const answer = await send(gateway.url, {
    body: gzipSync(body),
    headers: { ...headers, 'content-encoding': 'gzip' },
  });
  expectError(answer, 400, null, 'unsupported_content_type');
  expect(answer.json.error.message).toContain('Content-Encoding');
});

test('a file in another field is named', async () => {
  const answer = await send(gateway.url, multipart([{ ...speech, name: 'audio' }]));
  expectError(answer, 400, 'file', 'missing_required_parameter');
  expect(answer.json.error.message).toBe(
    "Missing required parameter: 'file'. A file came in the field 'audio'; send it in 'file'.",
  );
});

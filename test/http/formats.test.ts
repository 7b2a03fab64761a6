import { expect, test } from 'vitest';
import { wav } from '../setup/wav.ts';
import { ask, expectError } from './multipart.ts';
import { sharedGateway } from './shared-gateway.ts';

const gateway = sharedGateway();
const model = 'model=mock-echo';
const verbose = (...more: string[]) => ask(gateway.url, [model, 'response_format=verbose_json', ...more]);
const silence = { name: 'file', value: wav(1, { silent: true }), fileName: 'silence.wav' };
const junk = { name: 'file', value: 'this is no audio', fileName: 'junk.bin' };

test('30, 39: json is the format, also by default', async () => {
  const answer = await ask(gateway.url, [model, 'response_format=json']);
  expect(answer.headers.get('content-type')).toMatch(/^application\/json(; charset=utf-8)?$/);
  expect(answer.text[0]).toBe('{');
  expect(typeof answer.json.text).toBe('string');
  expect((await ask(gateway.url, [model])).json).toEqual(answer.json);
});

test('31: text is the bare transcript and one newline', async () => {
  const answer = await ask(gateway.url, [model, 'response_format=text']);
  expect(answer.headers.get('content-type')).toBe('text/plain; charset=utf-8');
  expect(answer.text).toBe(`${(await ask(gateway.url, [model])).json.text}\n`);
});

test.each(['srt', 'vtt'])('34, 35, 36: %s is refused before the audio is read', async (format) => {
  const { generation } = gateway.services.residency.health().worker;
  for (const [file, more] of [[undefined], [silence], [junk], [undefined, 'stream=true']] as const) {
    const fields = [`response_format=${format}`, 'model=mock-crash-in-job', ...(more ? [more] : [])];
    const answer = await ask(gateway.url, fields, file);
    expectError(answer, 400, 'response_format', 'unsupported_value');
    for (const name of ['json', 'text', 'verbose_json']) expect(answer.json.error.message).toContain(`'${name}'`);
  }
  expect(gateway.services.residency.health().worker.generation).toBe(generation);
});

test.each(['SRT', 'Vtt', ' srt ', 'xml', 'JSON'])(
  '38, 69: response_format=%j is a 400 that names the allowed formats',
  async (format) => {
    const answer = await ask(gateway.url, [model, `response_format=${format}`]);
    expect(answer.status).toBe(400);
    expect(answer.json.error.param).toBe('response_format');
    expect(answer.json.error.code).toMatch(/^(un|in)/);
    expect(answer.json.error.message).toMatch(/'json'.*'text'.*'verbose_json'/);
  },
);

test('38: no description mentions subtitles', async () => {
  for (const route of ['/openapi.json', '/docs', '/v1/models']) {
    expect(await (await fetch(gateway.url + route)).text()).not.toMatch(/\b(srt|vtt)\b/i);
  }
});

test('37: text beyond ASCII arrives unchanged', async () => {
  const prompt = 'prompt=Grüße aus Köln, 日本語 🎧';
  const said = 'Grüße aus Köln, 日本語 🎧';
  expect((await ask(gateway.url, [model, prompt])).json.text).toContain(said);
  expect((await ask(gateway.url, [model, prompt, 'response_format=text'])).text).toContain(said);
  expect((await verbose(prompt)).json.segments.map(({ text }: { text: string }) => text).join('')).toContain(said);
});

test('40 to 45, 48: verbose_json', async () => {
  const { json } = await verbose();
  expect(Object.keys(json).sort()).toEqual(['duration', 'language', 'segments', 'task', 'text', 'usage']);
  expect(json).toMatchObject({ task: 'transcribe', language: 'english', duration: 1 });
  expect(json.usage).toEqual({ type: 'duration', seconds: 1 });
  for (const [index, segment] of json.segments.entries()) {
    expect(segment).toEqual({
      id: index,
      seek: expect.toSatisfy(Number.isInteger),
      start: expect.any(Number),
      end: expect.any(Number),
      text: expect.any(String),
      tokens: expect.toSatisfy((ids: unknown[]) => ids.every(Number.isInteger)),
      temperature: expect.any(Number),
      avg_logprob: expect.any(Number),
      compression_ratio: expect.any(Number),
      no_speech_prob: expect.any(Number),
    });
    expect(segment.end).toBeLessThanOrEqual(json.duration + 0.5);
  }
  expect(
    json.segments
      .map(({ text }: { text: string }) => text)
      .join('')
      .trim(),
  ).toBe(json.text);
  expect((await verbose('language=de')).json.language).toBe('german');
});

test('46: words only', async () => {
  const { json } = await verbose('timestamp_granularities[]=word');
  expect(json).not.toHaveProperty('segments');
  let last = 0;
  for (const one of json.words) {
    expect(Object.keys(one).sort()).toEqual(['end', 'start', 'word']);
    expect(one.word).toBe(one.word.trim());
    expect(one.start).toBeGreaterThanOrEqual(last);
    expect(one.end).toBeGreaterThanOrEqual(one.start);
    last = one.start;
  }
  expect(json.words.map(({ word }: { word: string }) => word).join(' ')).toBe(json.text);
});

test('49: speakers cannot be told apart', async () => {
  expectError(
    await ask(gateway.url, [model, 'response_format=diarized_json']),
    400,
    'response_format',
    'unsupported_value',
  );
});

test('50: log-probabilities', async () => {
  const { json } = await ask(gateway.url, [model, 'include[]=logprobs']);
  const joined = json.logprobs.map(({ token }: { token: string }) => token).join('');
  expect(joined.trim()).toBe(json.text);
  for (const { token, logprob, bytes } of json.logprobs) {
    expect(Buffer.from(bytes).toString()).toBe(token);
    expect(logprob).toBeLessThanOrEqual(0);
  }
  expectError(await ask(gateway.url, [model, 'include[]=foo']), 400, 'include', 'invalid_value');
  expect((await ask(gateway.url, [model])).json).not.toHaveProperty('logprobs');
});

test('76: silence is an empty text and no segments', async () => {
  expect((await ask(gateway.url, [model], silence)).json.text).toBe('');
  const quiet = await ask(gateway.url, [model, 'response_format=verbose_json'], silence);
  expect(quiet.json).toMatchObject({ text: '', segments: [] });
});

test('99 to 104: translations', async () => {
  const translate = (...fields: string[]) => ask(gateway.url, [model, ...fields], undefined, 'translations');
  const plain = await translate('language=de', 'stream=true', 'timestamp_granularities[]=word');
  expect(plain.json).toEqual({ text: expect.stringContaining('The task is translate.') });
  expect(plain.json.text).toContain('The language is de.');
  const { json } = await translate('response_format=verbose_json');
  expect(Object.keys(json).sort()).toEqual(['duration', 'language', 'segments', 'task', 'text']);
  expect(json).toMatchObject({ task: 'translate', language: 'english' });
  expect((await translate('response_format=text')).text).toBe(`${json.text}\n`);
  for (const format of ['srt', 'vtt']) {
    expectError(await translate(`response_format=${format}`), 400, 'response_format', 'unsupported_value');
  }
  expectError(await translate('response_format=diarized_json'), 400, 'response_format', 'invalid_value');
});

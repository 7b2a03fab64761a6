import { once } from 'node:events';
import { request as httpRequest, type IncomingMessage } from 'node:http';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { expect, test, vi } from 'vitest';
import { post } from '../setup/api.ts';
import { seeded } from '../setup/seeded.ts';
import { wav } from '../setup/wav.ts';
import { mockGateway } from './mock-gateway.ts';
import { ask, expectError, field, multipart, type Part, send, speech } from './multipart.ts';
import { sharedGateway } from './shared-gateway.ts';

const gateway = sharedGateway();
const sound = (value: string | Buffer): Part => ({ name: 'file', value, fileName: 'a.wav' });

test('61: a request without a file is refused', async () => {
  expectError(await ask(gateway.url, ['model=mock-echo'], null), 400, 'file', 'missing_required_parameter');
});

test('62: a request without a model gets the loaded one, else the default', async () => {
  await using fresh = await mockGateway({ models: { default: 'mock-echo' } });
  expect((await ask(fresh.url, [])).status).toBe(200);
  expect(fresh.services.residency.status().model).toBe('mock-echo');
  await post(fresh.url, '/v1/settings/model', { model_id: 'mock-busy' });
  expectError(await ask(fresh.url, ['model=']), 503, null, 'model_busy');
});

test('62: a request without a model is refused if there is neither a loaded model nor a default', async () => {
  await using fresh = await mockGateway({ models: { default: null } });
  expectError(await ask(fresh.url, []), 400, 'model', 'missing_required_parameter');
});

test('63: a file that is sent as a text field is refused', async () => {
  const body = multipart([field('model', 'mock-echo'), field('file', 'RIFF')]);
  expectError(await send(gateway.url, body), 400, 'file', 'invalid_type');
});

test.each(['', 'en', 'EN', 'auto', 'Auto'])('64, 65, 67: language=%j is accepted', async (language) => {
  const answer = await ask(gateway.url, ['model=mock-echo', 'response_format=verbose_json', `language=${language}`]);
  expect(answer.json.language).toBe('english');
});

test.each(['english', 'xx', 'en-US', 'zh-tw', 'e', '../x', '🎧'])('66: language=%s is refused', async (language) => {
  const answer = await ask(gateway.url, ['model=mock-echo', `language=${language}`]);
  expectError(answer, 400, 'language', 'invalid_language_format');
  const text = `Invalid language '${language}'. Language parameter must be specified in ISO-639-1 format.`;
  expect(answer.json.error.message).toBe(text);
});

test.each(['none-such', '../../etc/passwd', 'a/b', 'x'.repeat(10_000), '\u0000'])(
  '72: unknown model %# is 404',
  async (model) => {
    expectError(await ask(gateway.url, [`model=${model}`]), 404, 'model', 'model_not_found');
  },
);

test('72: the error for a model that is not downloaded says how to get it', async () => {
  const answer = await ask(gateway.url, ['model=mock-download']);
  expectError(answer, 404, 'model', 'model_not_found');
  expect(answer.json.error.message).toMatch(/download/);
  expect((await fetch(`${gateway.url}/v1/models/mock-download/download`)).status).toBe(404);
});

test('73, 74: a file that is no audio is refused', async () => {
  for (const file of [sound('junk'), sound('<html>'), sound(Buffer.alloc(70_000, 7)), sound('')]) {
    const answer = await ask(gateway.url, ['model=mock-echo'], file);
    expectError(answer, 400, 'file', 'invalid_file_format');
    expect(answer.json.error.message).toMatch(/^Invalid file format\. Supported formats: \['flac'/);
  }
});

test('75: audio below the minimum length is refused, and audio of that length accepted', async () => {
  expectError(await ask(gateway.url, ['model=mock-echo'], sound(wav(0.05))), 400, 'file', 'audio_too_short');
  expect((await ask(gateway.url, ['model=mock-echo'], sound(wav(0.1)))).status).toBe(200);
});

test('78, 80: an upload over the limit is 413, and is read to its end so that the client sees the answer', async () => {
  await using small = await mockGateway({ server: { maxUploadBytes: 1_000_000 } });
  const answer = await ask(small.url, ['model=mock-echo'], sound(Buffer.alloc(30_000_000)));
  expectError(answer, 413, 'file', 'file_too_large');
});

test('79: an upload over the limit without a declared length is 413, and its file is removed', async () => {
  await using small = await mockGateway({ server: { maxUploadBytes: 1_000_000 } });
  const { body, headers } = multipart([field('model', 'mock-echo'), sound(Buffer.alloc(5_000_000))]);
  const request = httpRequest(`${small.url}/v1/audio/transcriptions`, { method: 'POST', headers });
  const answered = once(request, 'response') as Promise<[IncomingMessage]>;
  // The request is never ended, because the answer must not wait for the rest.
  request.write(body);
  const [{ statusCode }] = await answered;
  expect(statusCode).toBe(413);
  await vi.waitFor(() => expect(small.spooled()).toEqual([]));
  request.on('error', () => undefined);
  request.destroy();
});

test('a declared length of 2 GiB is refused before any byte of the body is read', async () => {
  await using small = await mockGateway({});
  const { headers } = multipart([speech]);
  const status = await new Promise<number>((resolve, reject) => {
    const length = String(2 * 1024 ** 3);
    const options = { method: 'POST', headers: { ...headers, 'content-length': length, expect: '100-continue' } };
    const request = httpRequest(`${small.url}/v1/audio/transcriptions`, options, (response) => {
      response.resume();
      resolve(response.statusCode!);
      request.destroy();
    });
    request.on('continue', () => reject(new Error('was told to go on')));
    request.on('error', () => undefined);
    request.flushHeaders();
  });
  expect(status).toBe(413);
});

test('70, 71: hundreds of malformed requests get no 5xx except the documented 503, and leak no memory', {
  timeout: 300_000,
}, async () => {
  await using target = await mockGateway({ models: { default: 'mock-echo' } });
  const random = seeded(7);
  const pick = <T>(from: readonly T[]): T => from[Math.floor(random() * from.length)]!;
  const valid = multipart([field('model', 'mock-echo'), field('language', 'en'), speech]);
  const small = multipart([field('model', 'mock-echo'), sound(wav(0.2))]);
  const mutate = (): { body: Buffer; headers: Record<string, string> } => {
    const base = pick([small, small, small, valid]);
    const body = Buffer.from(base.body);
    const kind = Math.floor(random() * 6);
    if (kind === 0) return { ...base, body: body.subarray(0, Math.floor(random() * body.length)) };
    if (kind === 1)
      for (let n = 0; n < 20; n += 1) body[Math.floor(random() * Math.min(400, body.length))] = random() * 256;
    if (kind === 2)
      return { body, headers: { 'content-type': pick(['', 'text/plain', 'multipart/form-data', 'x/y;;=']) } };
    if (kind === 3)
      return multipart([field(pick(['model', 'language', 'stream', 'temperature', 'include[]']), pick(NASTY)), speech]);
    if (kind === 4) return multipart([{ ...speech, name: pick(['file', 'file[]', 'model', 'x']), value: pick(NASTY) }]);
    if (kind === 5) return { ...base, body: Buffer.concat([body, body]) };
    return { ...base, body };
  };
  const bad: string[] = [];
  const client = async (count: number): Promise<void> => {
    for (let n = 0; n < count; n += 1) {
      const answer = await send(target.url, mutate());
      if (answer.status >= 500 && answer.status !== 503) bad.push(`${answer.status} ${answer.text}`);
      if (answer.status === 422 || (answer.status >= 400 && answer.json?.error === undefined)) bad.push(answer.text);
    }
  };
  await Promise.all(Array.from({ length: 8 }, () => client(40)));
  const before = liveBytes();
  await Promise.all(Array.from({ length: 8 }, () => client(40)));
  expect(bad).toEqual([]);
  // Sockets and finalizers release their memory within a few turns of the event loop; a leak stays.
  await vi.waitFor(() => expect(liveBytes() - before).toBeLessThan(2_000_000), 10_000);
  expect((await ask(target.url, [])).status).toBe(200);
});

const NASTY = [
  '',
  ' ',
  '\0',
  '{"a":',
  '../../x',
  "'; --",
  '🎧'.repeat(100),
  '-1',
  '1e999',
  'null',
  '[object Object]',
  'a\r\nb',
];

/** Live bytes, buffers included, after a garbage collection. */
function liveBytes(): number {
  setFlagsFromString('--expose-gc');
  const collect = runInNewContext('gc') as () => void;
  collect();
  const { heapUsed, external } = process.memoryUsage();
  return heapUsed + external;
}

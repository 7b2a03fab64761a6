import { once } from 'node:events';
import { readFileSync, writeFileSync } from 'node:fs';
import { request as httpRequest, type IncomingMessage } from 'node:http';
import path from 'node:path';
import { Readable } from 'node:stream';
import { execa } from 'execa';
import { expect, test } from 'vitest';
import { call } from '../setup/api.ts';
import { audio } from '../setup/checkout.ts';
import { temporaryHome } from '../setup/home.ts';
import { wav } from '../setup/wav.ts';
import { ask, expectError, field, multipart, send, speech } from './multipart.ts';
import { sharedGateway } from './shared-gateway.ts';

const gateway = sharedGateway();

test('1: a file and a model give JSON with a text', async () => {
  const answer = await ask(gateway.url, ['model=mock-echo']);
  expect(answer.status).toBe(200);
  expect(answer.headers.get('content-type')).toMatch(/^application\/json/);
  expect(answer.json.text).toMatch(/\S/);
});

test('2: a trailing slash gives the same, without a redirect', async () => {
  const { body, headers } = multipart([field('model', 'mock-echo'), speech]);
  const init = { method: 'POST', headers, body: new Uint8Array(body), redirect: 'error' } as const;
  const slashed = await call(gateway.url, '/v1/audio/transcriptions/', init);
  expect(slashed.json).toEqual((await ask(gateway.url, ['model=mock-echo'])).json);
});

test('3: another method is 405 with the allowed methods', async () => {
  const answer = await call(gateway.url, '/v1/audio/transcriptions');
  expectError(answer, 405, null, null);
  expect(answer.headers.get('allow')).toBe('POST');
});

test('3: an unusual method is 405 as well, with and without a body', async () => {
  for (const method of ['QUERY', 'PUT', 'PATCH']) {
    for (const route of ['/health', '/v1/models', '/v1/models/x', '/v1/audio/transcriptions']) {
      expectError(await call(gateway.url, route, { method }), 405, null, null);
      expectError(await call(gateway.url, route, { method, body: '{}' }), 405, null, null);
    }
  }
});

test('4: an unknown path is 404 and named in the error', async () => {
  const answer = await call(gateway.url, '/v1/nope', { method: 'POST' });
  expectError(answer, 404, null, 'unknown_url');
  expect(answer.json.error.message).toContain('POST /v1/nope');
});

test('a wrongly joined base URL and path are accepted', async () => {
  const { body, headers } = multipart([field('model', 'mock-echo'), speech]);
  const init = { method: 'POST', headers, body: new Uint8Array(body), redirect: 'error' } as const;
  for (const route of ['/v1//audio/transcriptions', '//v1/audio/transcriptions', '/v1/v1/audio//transcriptions/']) {
    expect((await call(gateway.url, route, init)).status, route).toBe(200);
  }
  expect((await call(gateway.url, '/v1/v1//models/mock-echo')).json.id).toBe('mock-echo');
});

test.each([
  ['/audio/transcriptions', '/v1/audio/transcriptions'],
  ['/api/v1/models', '/v1/models'],
  ['/v1/audio/transcriptions/audio/transcriptions', '/v1/audio/transcriptions'],
  ['/v1/audio/transcription', '/v1/audio/transcriptions'],
  ['/V1/Audio/Transcriptions', '/v1/audio/transcriptions'],
  ['/healthz', '/health'],
])('the error for %s suggests the right path', async (wrong, right) => {
  const answer = await call(gateway.url, wrong, { method: 'POST' });
  expectError(answer, 404, null, 'unknown_url');
  expect(answer.json.error.message).toContain(`Did you mean ${right}?`);
});

test('the error for a path that resembles no other has no suggestion', async () => {
  for (const wrong of ['/v1/chat/completions', '/favicon.ico', `/${'x'.repeat(3_000)}`]) {
    expect((await call(gateway.url, wrong)).json.error.message, wrong).not.toContain('Did you mean');
  }
});

test('5: every answer has its own request id', async () => {
  const routes = ['/health', '/v1/models', '/v1/nope', '/v1/models/none', '/v1/settings/model'];
  const ids = await Promise.all(
    routes.map(async (route) => (await call(gateway.url, route)).headers.get('x-request-id')),
  );
  expect(new Set(ids).size).toBe(routes.length);
  expect(ids).not.toContain(null);
});

test('6: every answer has the headers of OpenAI', async () => {
  const { headers } = await ask(gateway.url, ['model=mock-echo']);
  expect(headers.get('openai-processing-ms')).toMatch(/^\d+$/);
  expect(headers.get('openai-version')).toBe('2020-10-01');
});

test.each([
  ['/health', 200, 'GET, HEAD'],
  ['/v1/models', 200, 'GET, HEAD'],
  ['/v1/models/x', 404, 'GET, HEAD, DELETE'],
  ['/v1/audio/transcriptions', 405, 'POST'],
  ['/v1/nope', 404, null],
  ['/', 404, null],
])('7: HEAD of %s is %i without a body, OPTIONS names the methods', async (route, status, methods) => {
  const head = await fetch(gateway.url + route, { method: 'HEAD' });
  expect([head.status, await head.text()]).toEqual([status, '']);
  const options = await call(gateway.url, route, { method: 'OPTIONS' });
  expect(options.status).toBe(methods === null ? 404 : 204);
  expect(options.headers.get('allow')).toBe(methods);
});

test('8: a client that accepts gzip gets the same bytes as any other, not compressed', async () => {
  // fetch would decompress the body before the test sees it.
  const get = async (encoding: string) => {
    const request = httpRequest(`${gateway.url}/v1/models`, { headers: { 'accept-encoding': encoding } }).end();
    const [response] = (await once(request, 'response')) as [IncomingMessage];
    return { encoding: response.headers['content-encoding'], body: Buffer.concat(await response.toArray()).toString() };
  };
  const plain = await get('identity');
  expect(JSON.parse(plain.body).data.length).toBeGreaterThan(0);
  expect(plain.encoding).toBeUndefined();
  expect(await get('gzip')).toEqual(plain);
});

test('9: curl waits for 100 Continue above 1 MiB and gets it at once', async () => {
  const file = path.join(temporaryHome(), 'five.wav');
  writeFileSync(file, wav(160));
  // By default curl stops waiting after a second; with this option it would wait for a minute.
  const flags = ['-sS', '--max-time', '30', '--expect100-timeout', '60', '-H', 'Expect: 100-continue'];
  const form = ['-F', `file=@${file}`, '-F', 'model=mock-echo'];
  const { stdout } = await execa('curl', [...flags, `${gateway.url}/v1/audio/transcriptions`, ...form]);
  expect(JSON.parse(stdout).text).toContain('160.0 seconds');
});

test('10: a chunked body without a length is accepted', async () => {
  const { body, headers } = multipart([field('model', 'mock-echo'), speech]);
  const stream = Readable.toWeb(Readable.from([body.subarray(0, 50), body.subarray(50, 9000), body.subarray(9000)]));
  const init = { method: 'POST', headers, body: stream, duplex: 'half' } as unknown as RequestInit;
  expect((await call(gateway.url, '/v1/audio/transcriptions', init)).status).toBe(200);
});

test('11: the file may come before the model', async () => {
  const { status, json } = await send(gateway.url, multipart([speech, field('model', 'mock-echo')]));
  expect(status).toBe(200);
  expect(json.text).toMatch(/\S/);
});

test.each([
  ['quoted boundary', { quoted: true }],
  ['preamble', { preamble: 'This is a message in MIME format.\r\n' }],
  ['epilogue', { epilogue: 'and that was it\r\n' }],
  ['boundary of curl', { boundary: '------------------------d74496d66958873e' }],
])('12: a body with this style is accepted: %s', async (_name, style) => {
  expect((await send(gateway.url, multipart([field('model', 'mock-echo'), speech], style))).status).toBe(200);
});

test('13: a JSON body is refused', async () => {
  const headers = { 'content-type': 'application/json' };
  const answer = await call(gateway.url, '/v1/audio/transcriptions', {
    method: 'POST',
    headers,
    body: '{"model":"mock-echo"}',
  });
  expectError(answer, 400, null, 'unsupported_content_type');
});

test('14: a body without a boundary or cut short is refused', async () => {
  const { body, headers } = multipart([field('model', 'mock-echo'), speech]);
  const noBoundary = await send(gateway.url, { body, headers: { 'content-type': 'multipart/form-data' } });
  const cuts = [0, 1, 30, 60, 200, body.length - 60, body.length - 5];
  const cut = await Promise.all(cuts.map((at) => send(gateway.url, { body: body.subarray(0, at), headers })));
  for (const answer of [noBoundary, ...cut]) {
    expectError(answer, 400, null, null);
    expect(answer.json.error.message).toContain('Could not parse multipart form');
  }
  expect((await ask(gateway.url, ['model=mock-echo'])).status).toBe(200);
});

test('15, 16, 17: name and type of the file do not matter', async () => {
  const value = readFileSync(audio('corrupt/made/mp3_named.wav'));
  for (const [fileName, type] of [
    ['upload', 'application/octet-stream'],
    ['unknown_file', 'application/octet-stream'],
    ['a.wav', 'audio/x-wav'],
    ['a', 'text/plain'],
  ] as const) {
    const answer = await send(
      gateway.url,
      multipart([field('model', 'mock-echo'), { name: 'file', value, fileName, type }]),
    );
    expect(answer.status, fileName).toBe(200);
  }
});

test('18: strange file names are accepted, and none of them reaches the disk', async () => {
  for (const fileName of [
    'ä ö ü 音.wav',
    'a\\"b.wav',
    'a%22b.wav',
    `${'x'.repeat(300)}.wav`,
    '../../x',
    '/etc/x',
    'a\0b',
  ]) {
    const answer = await send(gateway.url, multipart([field('model', 'mock-echo'), { ...speech, fileName }]));
    expect(answer.status, fileName).toBe(200);
  }
});

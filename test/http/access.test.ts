import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import { request as httpRequest } from 'node:http';
import { setImmediate as turn } from 'node:timers/promises';
import { expect, test, vi } from 'vitest';
import { AsrproError } from '../../src/errors.ts';
import { call, post } from '../setup/api.ts';
import { mockGateway } from './mock-gateway.ts';
import { ask, expectError, field, multipart, speech } from './multipart.ts';

/** A request with headers that fetch does not let a program set. */
function withHeaders(url: string, headers: Record<string, string>, method = 'GET'): Promise<number> {
  return new Promise((resolve, reject) => {
    const sent = httpRequest(url, { method, headers }, (response) => {
      response.resume();
      resolve(response.statusCode!);
    });
    sent.on('error', reject);
    sent.end();
  });
}

test('81, 82, 83: a configured API key is required', async () => {
  const key = 'sk-0123456789abcdef';
  await using gateway = await mockGateway({ server: { apiKey: key } });
  const models = (authorization?: string) =>
    call(gateway.url, '/v1/models', authorization === undefined ? {} : { headers: { authorization } });
  expectError(await models(), 401, null, null);
  expect((await models()).json.error.message).toMatch(/^You didn't provide an API key/);
  for (const wrong of ['Bearer sk-wrong-wrong-wrong-1', `Bearer ${key}x`, `Bearer ${key.slice(1)}`]) {
    const answer = await models(wrong);
    expectError(answer, 401, null, 'invalid_api_key');
    expect(answer.text).not.toContain(wrong.slice('Bearer '.length));
  }
  expect((await models(`Bearer ${key}`)).status).toBe(200);
  expect((await models(`bearer ${key}`)).status).toBe(200);
  expect((await call(gateway.url, '/health')).status).toBe(200);
  expectError(await ask(gateway.url, ['model=mock-echo']), 401, null, null);
  for (const path of ['//v1/models', '/v1/v1/models', '//health/../v1/models', '/v1//v1//models/']) {
    expect((await call(gateway.url, path)).status, path).not.toBe(200);
  }
  await using open = await mockGateway();
  expect((await call(open.url, '/v1/models', { headers: { authorization: 'Bearer x' } })).status).toBe(200);
});

test('97: only host names of this machine and allowed origins are accepted', async () => {
  await using gateway = await mockGateway({
    server: { allowedHosts: ['speech.lan'], allowedOrigins: ['https://app.example'] },
  });
  const models = `${gateway.url}/v1/models`;
  const { port } = gateway;
  for (const host of [`localhost:${port}`, `127.0.0.1:${port}`, `[::1]:${port}`, 'localhost', `speech.lan:${port}`]) {
    expect(await withHeaders(models, { host }), host).toBe(200);
  }
  for (const host of ['evil.example', 'localhost.evil.example', '127.0.0.1.nip.io', '192.168.0.1']) {
    expect(await withHeaders(models, { host }), host).toBe(403);
  }
  for (const origin of [gateway.url, 'https://app.example', 'https://APP.example']) {
    expect(await withHeaders(models, { origin }), origin).toBe(200);
  }
  for (const origin of ['https://evil.example', 'null', 'http://127.0.0.1:1', 'https://app.example.evil']) {
    expect(await withHeaders(models, { origin }), origin).toBe(403);
  }
});

test('a page of another site starts nothing with an image, a frame or a link, which send no Origin', async () => {
  await using gateway = await mockGateway({ server: { allowedOrigins: ['https://app.example'] } });
  const report = vi.spyOn(gateway.services.devices, 'report');
  const devices = `${gateway.url}/v1/devices?refresh=true`;
  for (const site of ['cross-site', 'same-site']) {
    for (const url of [devices, `${gateway.url}/docs`, `${gateway.url}//v1/v1/devices?refresh=true`]) {
      for (const method of ['GET', 'HEAD']) {
        expect(await withHeaders(url, { 'sec-fetch-site': site, 'sec-fetch-mode': 'no-cors' }, method), url).toBe(403);
      }
    }
    const evil = { 'sec-fetch-site': site, origin: 'https://evil.example' };
    expect(await withHeaders(devices, evil)).toBe(403);
  }
  expect(report).not.toHaveBeenCalled();
  expect(await withHeaders(devices, { 'sec-fetch-site': 'cross-site', origin: 'https://app.example' })).toBe(200);
  expect(await withHeaders(devices, { 'sec-fetch-site': 'same-origin' })).toBe(200);
  expect(await withHeaders(`${gateway.url}/docs`, { 'sec-fetch-site': 'none', 'sec-fetch-mode': 'navigate' })).toBe(
    200,
  );
});

test('many refreshes of the devices at once run one probe', async () => {
  await using gateway = await mockGateway();
  const { devices } = gateway.services;
  const known = await devices.report();
  let finish = (): void => undefined;
  const tested = new Promise<typeof known>((resolve) => {
    finish = () => resolve(known);
  });
  const report = vi.spyOn(devices, 'report').mockReturnValue(tested);
  let arrived = 0;
  const count = () => (arrived += 1);
  subscribe('http.server.request.start', count);
  const asked = Array.from({ length: 20 }, () => call(gateway.url, '/v1/devices?refresh=true'));
  // A request that arrives after the end of the probe rightly starts another one.
  await vi.waitFor(() => expect([arrived, report.mock.calls.length]).toEqual([20, 1]));
  unsubscribe('http.server.request.start', count);
  await turn();
  finish();
  for (const answer of await Promise.all(asked)) expect(answer.status).toBe(200);
  expect(report).toHaveBeenCalledTimes(1);
  await call(gateway.url, '/v1/devices?refresh=true');
  expect(report).toHaveBeenCalledTimes(2);
});

test('97: a preflight of an allowed origin is granted the requested headers', async () => {
  await using gateway = await mockGateway({ server: { allowedOrigins: ['https://app.example'], apiKey: 'k' } });
  const asked = 'authorization,content-type,x-stainless-lang,x-stainless-retry-count,x-stainless-anything-new';
  const preflight = (origin: string) =>
    call(gateway.url, '/v1/audio/transcriptions', {
      method: 'OPTIONS',
      headers: {
        origin,
        'access-control-request-method': 'POST',
        'access-control-request-headers': asked,
      },
    });
  const granted = await preflight('https://app.example');
  expect(granted.status).toBe(204);
  expect(granted.headers.get('access-control-allow-origin')).toBe('https://app.example');
  expect(granted.headers.get('access-control-allow-headers')).toBe(asked);
  expect(granted.headers.get('access-control-expose-headers')).toMatch(/x-request-id.*retry-after/);
  const refused = await preflight('https://evil.example');
  expect(refused.status).toBe(403);
  expect(refused.headers.get('access-control-allow-origin')).toBeNull();
});

test('84, 85: a full queue is 503 with a Retry-After, and never 429', { timeout: 40_000 }, async () => {
  await using gateway = await mockGateway({ server: { maxQueue: 1 } });
  const leave = new AbortController();
  const slow = () => {
    const { body, headers } = multipart([field('model', 'mock-slow'), speech]);
    const init = { method: 'POST', headers, body: new Uint8Array(body), signal: leave.signal };
    return fetch(`${gateway.url}/v1/audio/transcriptions`, init).catch(() => undefined);
  };
  const pending = [slow(), slow()];
  await vi.waitFor(async () => {
    expect((await call(gateway.url, '/health')).json.queue).toEqual({ running: 1, waiting: 1, limit: 1 });
  }, 20_000);
  expectError(await ask(gateway.url, ['model=mock-slow']), 503, null, 'queue_full');
  leave.abort();
  await Promise.all(pending);
  await vi.waitFor(() => expect(gateway.services.residency.health().queue).toMatchObject({ running: 0, waiting: 0 }));
});

test('86: an engine that makes no progress is a 500 that clients do not retry', async () => {
  await using gateway = await mockGateway();
  const stuck = new AsrproError('worker_unresponsive', 'The engine made no progress.');
  vi.spyOn(gateway.services.transcription, 'admit').mockReturnValue({
    release: () => undefined,
    start: () => Promise.reject(stuck),
  });
  expectError(await ask(gateway.url, ['model=mock-echo']), 500, null, 'worker_unresponsive');
});

test('87: permanent failures have their own codes', async () => {
  await using gateway = await mockGateway();
  expectError(await ask(gateway.url, ['model=mock-broken']), 500, 'model', 'model_broken');
  expectError(await ask(gateway.url, ['model=mock-crash-in-job']), 500, null, 'worker_crashed');
  expectError(await ask(gateway.url, ['model=mock-out-of-memory']), 500, null, 'out_of_memory');
});

test('88, 91: a client that disconnects while it waits is removed from the queue, with its upload', async () => {
  await using gateway = await mockGateway();
  const leave = new AbortController();
  const { body, headers } = multipart([field('model', 'mock-slow'), speech]);
  const init = { method: 'POST', headers, body: new Uint8Array(body), signal: leave.signal };
  const pending = [1, 2, 3].map(() => fetch(`${gateway.url}/v1/audio/transcriptions`, init).catch(() => undefined));
  await vi.waitFor(() => expect(gateway.services.residency.health().queue).toMatchObject({ running: 1, waiting: 2 }));
  leave.abort();
  await Promise.all(pending);
  await vi.waitFor(() => expect(gateway.services.residency.health().queue).toMatchObject({ running: 0, waiting: 0 }));
  await vi.waitFor(() => expect(gateway.spooled()).toEqual([]));
});

test('89: twenty requests at once get each their own answer', async () => {
  await using gateway = await mockGateway();
  const prompts = Array.from({ length: 20 }, (_, index) => `number ${index}`);
  const answers = await Promise.all(prompts.map((prompt) => ask(gateway.url, ['model=mock-echo', `prompt=${prompt}`])));
  for (const [index, { status, json }] of answers.entries()) {
    expect(status).toBe(200);
    expect(json.text).toContain(`The prompt is ${prompts[index]}.`);
  }
});

test('settings: load, ask, unload', async () => {
  await using gateway = await mockGateway();
  const settings = '/v1/settings/model';
  expect((await call(gateway.url, settings)).json).toMatchObject({ model: null, status: 'none' });
  const loaded = await post(gateway.url, settings, { model_id: 'mock-echo' });
  expect(loaded.json).toMatchObject({ status: 'success', model: 'mock-echo', previous: null, device: 'cpu' });
  expect((await call(gateway.url, settings)).json).toMatchObject({ model: 'mock-echo', status: 'loaded' });
  const failed = await post(gateway.url, settings, { model_id: 'mock-broken' });
  expectError(failed, 500, 'model', 'model_broken');
  expect(failed.json.error.message).toContain("'mock-echo' is loaded again");
  expect((await call(gateway.url, '/health')).json.current_model).toBe('mock-echo');
  const unloaded = await call(gateway.url, settings, { method: 'DELETE' });
  expect(unloaded.json).toMatchObject({ status: 'success', model: null, unloaded: 'mock-echo' });
  expect(unloaded.json.memory).toMatchObject({ worker_exited: true });
  const again = await call(gateway.url, settings, { method: 'DELETE' });
  expect(again.json).toMatchObject({ status: 'success', unloaded: null });
});

test.each([
  ['{}', 'model_id', 'missing_required_parameter'],
  ['{"model_id":1}', 'model_id', 'invalid_value'],
  ['{"model_id":""}', 'model_id', 'invalid_value'],
  ['[]', null, 'invalid_body'],
  ['{', null, 'invalid_body'],
  ['', null, 'invalid_body'],
])('settings: %s is refused', async (body, param, code) => {
  await using gateway = await mockGateway();
  const headers = { 'content-type': 'application/json' };
  expectError(await call(gateway.url, '/v1/settings/model', { method: 'POST', headers, body }), 400, param, code);
});

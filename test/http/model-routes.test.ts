import { expect, onTestFinished, test, vi } from 'vitest';
import { call, post } from '../setup/api.ts';
import { mockGateway } from './mock-gateway.ts';
import { expectError } from './multipart.ts';
import { sharedGateway } from './shared-gateway.ts';

const gateway = sharedGateway();
const get = (route: string) => call(gateway.url, route, { redirect: 'error' });

test('92: the list of models', async () => {
  const { json } = await get('/v1/models');
  expect(json.object).toBe('list');
  for (const model of json.data) {
    expect(model).toMatchObject({
      id: expect.any(String),
      object: 'model',
      created: expect.toSatisfy((seconds) => Number.isInteger(seconds) && String(seconds).length === 10),
      owned_by: 'asrpro',
      ready: expect.any(Boolean),
      downloaded: expect.any(Boolean),
      loaded: false,
      languages: expect.any(Array),
      tasks: expect.any(Array),
    });
    expect(model.reason === null).toBe(model.ready);
  }
  expect((await get('/v1/models/')).json).toEqual(json);
});

test('93: one model has the requested id', async () => {
  const [first] = (await get('/v1/models')).json.data;
  expect((await get(`/v1/models/${first.id}`)).json).toEqual(first);
  expect((await get(`/v1/models/${first.id}/`)).json).toEqual(first);
});

test.each([
  'none',
  'a%2Fb',
  'a/b',
  'a:b@c.d',
  '..%2F..%2Fetc',
  '%2e%2e%2fetc',
  '%00',
  'a%20b',
  '%zz',
  'x'.repeat(10_000),
])('94, 95, 98: unknown id %# is 404', async (id) => {
  expectError(await get(`/v1/models/${id}`), 404, 'model', 'model_not_found');
  expectError(await call(gateway.url, `/v1/models/${id}`, { method: 'DELETE' }), 404, 'model', 'model_not_found');
});

test('96: a delete unloads the model first, and a second delete is 404', async () => {
  await using own = await mockGateway();
  await post(own.url, '/v1/settings/model', { model_id: 'mock-echo' });
  const remove = () =>
    call(own.url, '/v1/models/mock-echo', { method: 'DELETE', headers: { 'content-type': 'application/json' } });
  expect((await remove()).json).toEqual({ id: 'mock-echo', object: 'model', deleted: true });
  expect((await call(own.url, '/health')).json.current_model).toBeNull();
  expectError(await remove(), 404, 'model', 'model_not_found');
});

test('a download reports numbers for a progress bar, and a second request joins it', async () => {
  await using own = await mockGateway();
  const route = '/v1/models/mock-download/download';
  expectError(await call(own.url, route), 404, 'model', 'download_not_found');
  const [first, second] = await Promise.all([post(own.url, route, {}), post(own.url, route, {})]);
  expect([first.status, second.status]).toEqual([202, 202]);
  const job = await vi.waitFor(async () => {
    const { json } = await call(own.url, route);
    expect(json.status).toBe('installed');
    return json;
  }, 10_000);
  expect(Object.keys(job).sort()).toEqual(
    [
      'model',
      'status',
      'bytes_done',
      'bytes_total',
      'bytes_per_second',
      'seconds_left',
      'file',
      'source',
      'error',
    ].sort(),
  );
  expect(job.bytes_done).toBe(job.bytes_total);
  expect((await call(own.url, '/v1/models/mock-download')).json).toMatchObject({ ready: true, downloaded: true });
});

test('a failed download reports the reason', async () => {
  await using own = await mockGateway();
  const route = '/v1/models/mock-download-fails/download';
  await post(own.url, route, {});
  const job = await vi.waitFor(async () => {
    const { json } = await call(own.url, route);
    expect(json.status).toBe('failed');
    return json;
  }, 10_000);
  expect(job.error).toMatchObject({ code: expect.any(String), message: expect.stringMatching(/\S/) });
  expect((await call(own.url, '/v1/models/mock-download-fails')).json).toMatchObject({
    ready: false,
    downloaded: false,
  });
});

test('a download can be cancelled', async () => {
  await using own = await mockGateway();
  const route = '/v1/models/mock-download/download';
  await post(own.url, route, {});
  expect((await call(own.url, `${route}?keep=false`, { method: 'DELETE' })).json.status).toBe('cancelled');
  expectError(await call(own.url, `${route}?keep=perhaps`, { method: 'DELETE' }), 400, 'keep', 'invalid_value');
});

test('a JSON body may begin with a byte order mark', async () => {
  const answer = await call(gateway.url, '/v1/settings/model', {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: '\uFEFF{"model_id":"mock-echo"}',
  });
  expect(answer.json).toMatchObject({ status: 'success', model: 'mock-echo' });
});

test('the uptime does not depend on the clock of the machine', async () => {
  await using own = await mockGateway();
  vi.useFakeTimers({ toFake: ['Date'], now: Date.now() - 3_600_000 });
  onTestFinished(() => void vi.useRealTimers());
  const { json } = await call(own.url, '/health');
  expect(json.uptime_seconds).toBeGreaterThan(0);
  expect(json.uptime_seconds).toBeLessThan(60);
});

test('the download of a deleted model is forgotten', async () => {
  await using own = await mockGateway();
  const path = '/v1/models/mock-download/download';
  await call(own.url, path, { method: 'POST' });
  await vi.waitFor(async () => expect((await call(own.url, path)).json.status).toBe('installed'));
  expect((await call(own.url, '/v1/models/mock-download', { method: 'DELETE' })).status).toBe(200);
  expectError(await call(own.url, path), 404, 'model', 'download_not_found');
});

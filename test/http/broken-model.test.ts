import { expect, test, vi } from 'vitest';
import { defaultConfig } from '../../src/config/schema.ts';
import type { HttpServerDeps } from '../../src/http/deps.ts';
import { healthRoutes } from '../../src/http/routes/health.ts';
import { call, post, transcribe } from '../setup/api.ts';
import { audio } from '../setup/checkout.ts';
import { mockGateway } from './mock-gateway.ts';
import { expectError } from './multipart.ts';

const jfk = audio('english/jfk.flac');

test('a model that could not be loaded is listed as broken, and only an explicit load tries it again', async () => {
  await using gateway = await mockGateway();
  const described = async () => (await call(gateway.url, '/v1/models/mock-broken')).json;
  const workers = () => gateway.services.residency.health().worker.generation;
  expect(await described()).toMatchObject({ ready: true, reason: null });
  const first = await transcribe(gateway.url, jfk, { model: 'mock-broken' });
  expectError(first, 500, 'model', 'model_broken');
  expect(await described()).toMatchObject({ ready: false, downloaded: true, reason: first.json.error.message });

  const started = workers();
  const second = await transcribe(gateway.url, jfk, { model: 'mock-broken' });
  expectError(second, 500, 'model', 'model_broken');
  expect(second.json.error.message).toContain(first.json.error.message);
  expect(workers()).toBe(started);

  expectError(await post(gateway.url, '/v1/settings/model', { model_id: 'mock-broken' }), 500, 'model', 'model_broken');
  expect(workers()).toBe(started + 1);
});

test('/health answers without a read of the disk', async () => {
  const looks: boolean[] = [];
  const library = {
    list: async () => void looks.push(true),
    anyReady: async () => {
      looks.push(true);
      return false;
    },
  };
  const residency = {
    health: () => ({ worker: { state: 'stopped' }, queue: {} }),
    status: () => ({ model: null, status: 'none', device: null }),
  };
  const devices = { lastChosen: () => 'cpu' };
  const deps = { config: defaultConfig, version: '0', startedAt: 0, library, residency, devices };
  const [route] = healthRoutes(deps as unknown as HttpServerDeps);
  const ask = async () => ((await route!.handler({} as never, {} as never)) as { status: string }).status;
  expect(await ask()).toBe('healthy');
  expect(await ask()).toBe('healthy');
  expect(looks).toEqual([]);
  await vi.waitFor(async () => expect(await ask()).toBe('degraded'));
  expect(looks).toEqual([true]);
});

import { rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { afterAll, test as anywhere, beforeAll, expect, vi } from 'vitest';
import { call, post, transcribe } from '../setup/api.ts';
import { audio } from '../setup/checkout.ts';
import { createHome } from '../setup/create-home.ts';
import { type Gateway, launchGateway } from '../setup/launch.ts';
import { installFakeCluster, startHead } from './fake-cluster.ts';

const test = anywhere.runIf(process.platform === 'linux');

/** One real gateway with a fake worker of a cluster, and a fake head that a test can stop. */
const jfk = audio('english/jfk.flac');
let home: string;
let head: Awaited<ReturnType<typeof startHead>>;
let gateway: Gateway;
let url: string;

beforeAll(async () => {
  home = createHome(false);
  installFakeCluster(home);
  head = await startHead();
  const config = {
    models: { default: 'custom', custom: [{ id: 'custom', path: path.join(home, 'custom') }] },
    cluster: { address: `127.0.0.1:${head.port}`, replicas: { min: 1, max: 4 }, token: 'secret' },
  };
  writeFileSync(path.join(home, 'config.json'), JSON.stringify(config));
  gateway = await launchGateway({ home });
  url = gateway.url;
}, 60_000);
afterAll(async () => {
  await gateway.stop();
  await head.stop();
  rmSync(home, { recursive: true });
});

const health = async () => (await call(url, '/health')).json;

test('a model of another engine is loaded on the cluster: address, replicas and token reach the worker', async () => {
  const { json, status, text } = await transcribe(url, jfk);
  expect(status, text).toBe(200);
  expect(JSON.parse(json.text)).toMatchObject({
    engine: 'ray',
    device: 'auto',
    cluster: {
      address: `127.0.0.1:${head.port}`,
      replicas: { min: 1, max: 4 },
      engine: 'faster-whisper',
      model: 'custom',
    },
    ray: { RAY_AUTH_MODE: 'token', RAY_AUTH_TOKEN: 'secret', RAY_USAGE_STATS_ENABLED: '0' },
  });
  expect(await health()).toMatchObject({
    status: 'healthy',
    current_model: 'custom',
    cluster: { reachable: true, reason: null, nodes: 2, replicas: 2 },
  });
});

test('/v1/devices lists the machines of the cluster with their state, and this machine as unused', async () => {
  await transcribe(url, jfk);
  const { devices, selected } = (await call(url, '/v1/devices')).json;
  expect(devices).toMatchObject([
    { id: 'node:a', kind: 'cpu', memory_bytes: 2 ** 34, usable: true, reason: null },
    { id: 'node:b', kind: 'cuda', name: expect.stringContaining('second'), usable: true },
    { id: 'node:c', usable: false, reason: 'It does not answer.' },
    { id: 'cpu', usable: false, reason: expect.stringContaining('cluster.address') },
    { id: 'mps', usable: false },
  ]);
  expect(selected['faster-whisper']).toBe('cluster');
});

test('an unload reports the memory of all machines before and after', async () => {
  await transcribe(url, jfk);
  const { memory } = (await call(url, '/v1/settings/model', { method: 'DELETE' })).json;
  expect(memory.before_bytes).toBeGreaterThan(4.7e9);
  expect(memory.before_bytes - memory.returned_bytes).toBeGreaterThan(0.7e9);
  expect(memory.before_bytes - memory.returned_bytes).toBeLessThanOrEqual(1e9);
});

test('losing the head ends the worker without a crash: 503 with Retry-After until the head is back', async () => {
  await transcribe(url, jfk);
  await head.stop();
  const lost = await transcribe(url, jfk, { prompt: 'lose' });
  expect(lost.json.error, lost.text).toMatchObject({
    code: 'cluster_unreachable',
    message: expect.stringContaining('head'),
  });
  for (let again = 0; again < 6; again += 1) {
    const refused = await transcribe(url, jfk);
    expect(refused.status, refused.text).toBe(503);
    expect(refused.json.error.code).toBe('cluster_unreachable');
    expect(Number(refused.headers.get('retry-after'))).toBeGreaterThan(0);
    expect(refused.headers.get('x-should-retry')).toBeNull();
  }
  expect(await health()).toMatchObject({
    status: 'degraded',
    cluster: { reachable: false, reason: expect.stringMatching(/^The head [^.]*\.$/) },
    worker: { state: 'stopped', restarts: 0, last_error: null },
  });
  expect(gateway.processes(), 'only the gateway is left').toHaveLength(1);
  head = await startHead(head.port);
  await vi.waitFor(
    async () => expect(await health()).toMatchObject({ status: 'healthy', cluster: { reachable: true } }),
    {
      timeout: 10_000,
    },
  );
  expect((await transcribe(url, jfk)).status).toBe(200);
});

test('without a head a load fails before it unloads anything', async () => {
  await call(url, '/v1/settings/model', { method: 'DELETE' });
  await head.stop();
  const { status, json } = await post(url, '/v1/settings/model', { model_id: 'custom' });
  expect(status).toBe(503);
  expect(json.error.message).toMatch(/refuses connections/);
});

import { rmSync } from 'node:fs';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { contract } from '../engines/contract.ts';
import { call, transcribe, wordsOf } from '../setup/api.ts';
import { audio, jfkWords } from '../setup/checkout.ts';
import { createHome } from '../setup/create-home.ts';
import { type Gateway, launchGateway } from '../setup/launch.ts';
import { installClusterForTests } from '../setup/shared-home.ts';
import { type Machine, startMachine } from './machines.ts';

/** A real cluster of two machines, with gateways. Clusters run on Linux only. */
const model = 'whisper-tiny.en';
const jfk = audio('english/jfk.flac');

describe.runIf(process.platform === 'linux')('two gateways on a cluster of two machines', () => {
  let head: Machine;
  let node: Machine;
  const gateways: Gateway[] = [];
  beforeAll(async () => {
    await installClusterForTests();
    head = await startMachine(null, 26_300);
    node = await startMachine(head, 26_400);
    const launch = () => launchGateway({ home: createHome(true), environment: environment() });
    gateways.push(...(await Promise.all([launch(), launch()])));
  }, 900_000);
  afterAll(async () => {
    await Promise.all(gateways.map(({ stop }) => stop()));
    for (const { home } of gateways) rmSync(home, { recursive: true });
    await node.leave();
    await head.leave();
  });
  const environment = () => ({
    ASRPRO_CLUSTER_ADDRESS: head.address,
    ASRPRO_CLUSTER_TOKEN_FILE: path.join(head.home, 'cluster', 'token'),
  });
  const replicas = () =>
    [...head.processes(), ...node.processes()].filter((one) => /ServeReplica|cluster\.engine_main/.test(one));
  const health = async () => (await call(gateways[0]!.url, '/health')).json;
  const wordsFrom = async (gateway: Gateway) =>
    wordsOf((await transcribe(gateway.url, jfk, { model })).json.text ?? '');
  const unload = (gateway: Gateway) => call(gateway.url, '/v1/settings/model', { method: 'DELETE' });

  test('answer side by side with the same replicas', async () => {
    const [first, second] = gateways as [Gateway, Gateway];
    expect(await Promise.all([wordsFrom(first), wordsFrom(second)])).toEqual([jfkWords, jfkWords]);
    expect(await health()).toMatchObject({ status: 'healthy', cluster: { reachable: true, nodes: 2, replicas: 2 } });
    expect(replicas()).toHaveLength(4);
  });

  test('its processes listen for other machines on the ports that were given and on no other', () => {
    expect(head.listening()).toContain(26_300);
    const ports = [...head.listening(), ...node.listening()];
    expect(ports.filter((port) => port < 26_300 || port > 26_460)).toEqual([]);
  });

  // A third gateway. It shares the replicas, so that they need not start once more.
  describe('the contract of every engine', () => {
    contract({ engine: 'ray', model, weights: 'real', words: true, damage: ['model.bin'], environment }, () => '');
  });

  test('the replicas of both machines are still there when the third gateway has left', () => {
    expect(replicas()).toHaveLength(4);
  });

  test('/health reports a dead head with its reason and requests get 503; when the head is back, requests work again', async () => {
    const [first] = gateways as [Gateway, Gateway];
    head.kill('gcs_server');
    const gone = {
      status: 'degraded',
      cluster: { reachable: false, reason: expect.stringMatching(/does not answer/) },
    };
    await vi.waitFor(async () => expect(await health()).toMatchObject(gone), { timeout: 10_000, interval: 100 });
    const refused = await transcribe(first.url, jfk, { model });
    expect(refused.json.error).toMatchObject({ code: 'cluster_unreachable' });
    expect(refused.status).toBe(503);
    expect(Number(refused.headers.get('retry-after'))).toBeGreaterThan(0);
    // The nodes would end by themselves, within a minute.
    for (const machine of [node, head]) machine.kill();
    await head.start();
    await vi.waitFor(async () => expect(await health()).toMatchObject({ status: 'healthy' }), { timeout: 30_000 });
    expect(await wordsFrom(first)).toBe(jfkWords);
    expect((await health()).worker).toMatchObject({ restarts: 0, last_error: null });
  });

  test('the replica stays for the other gateway and ends with the last one, and no process is left', async () => {
    const [first, second] = gateways as [Gateway, Gateway];
    expect(await wordsFrom(second)).toBe(jfkWords);
    expect((await unload(second)).json).toMatchObject({ status: 'success', unloaded: model });
    expect(replicas()).toHaveLength(2);
    expect(await wordsFrom(first)).toBe(jfkWords);
    const { json } = await unload(first);
    expect(replicas()).toEqual([]);
    // Weights and Python.
    expect(json.memory.returned_bytes).toBeGreaterThan(150e6);
  });
});

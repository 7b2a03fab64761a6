import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { test as anywhere, expect, onTestFinished } from 'vitest';
import { mainProgram } from '../setup/checkout.ts';
import { temporaryHome } from '../setup/home.ts';
import { runCli } from '../setup/run-cli.ts';
import { installFakeCluster, startHead } from './fake-cluster.ts';

const test = anywhere.runIf(process.platform === 'linux');

/** Runs `asrpro cluster` with a fake Python that records its arguments. */
function nodeCommands() {
  const home = temporaryHome();
  installFakeCluster(home);
  const record = path.join(home, 'calls');
  return {
    home,
    run: (args: string[], environment = {}) =>
      runCli(home, ['cluster', ...args], { ASRPRO_TEST_CALLS: record, ...environment }),
    calls: () =>
      existsSync(record)
        ? readFileSync(record, 'utf8')
            .trim()
            .split('\n')
            .map((line) => JSON.parse(line))
        : [],
  };
}

test('start --head prints the command for the other machines and the path of the token', async () => {
  const { home, run, calls } = nodeCommands();
  const { code, out, err } = await run(['start', '--head', '--port', '7000', '--slots', '2']);
  expect({ code, err }).toEqual({ code: 0, err: '' });
  expect(out).toMatch(/^ {2}asrpro cluster start [\d.]+:7000$/m);
  expect(out).toContain('/data/cluster/token');
  expect(out).toMatch(/^ +10002-10999 +workers$/m);
  const token = path.join(home, 'cluster', 'token');
  const [{ args, ray }] = calls();
  expect(args).toEqual(['start', '--head', '--slots', '2', '--port', '7000']);
  expect(ray).toMatchObject({ RAY_AUTH_MODE: 'token', RAY_AUTH_TOKEN_PATH: token, RAY_USAGE_STATS_ENABLED: '0' });
});

test('start HEAD:PORT passes the configured token on, and reports a head that does not answer', async () => {
  const { run, calls } = nodeCommands();
  const joined = await run(['start', '10.0.0.1:6379', '--json'], { ASRPRO_CLUSTER_TOKEN: 'secret' });
  expect(JSON.parse(joined.out)).toMatchObject({ head: false, address: '10.0.0.1:6379' });
  expect(calls()[0]).toMatchObject({ args: ['start', '10.0.0.1:6379'], ray: { RAY_AUTH_TOKEN: 'secret' } });
  const refused = await run(['start', 'unreachable:1']);
  expect(refused.code).toBe(1);
  expect(refused.err).toContain('The head at unreachable:1 does not answer.');
});

test('status shows machines, replicas and throughput of cluster.address, as text and as JSON', async () => {
  const { run, calls } = nodeCommands();
  const environment = { ASRPRO_CLUSTER_ADDRESS: '10.0.0.1:6379' };
  const text = await run(['status'], environment);
  expect(text.out).toContain('10.0.0.1:6379, Ray 2.60.0: nodes 2, replicas 2 of 2 slots, 12.5 pieces per second');
  expect(text.out).toMatch(/third\s+lost/);
  expect(text.out).toContain('custom: replicas wanted 2, gateways 1');
  const json = JSON.parse((await run(['status', '--json'], environment)).out);
  expect(json).toMatchObject({ address: '10.0.0.1:6379', pieces_per_second: 12.5 });
  expect(json.nodes).toHaveLength(3);
  expect(calls()[0].args).toEqual(['status', '--address', '10.0.0.1:6379']);
});

test('start --wait runs as long as the node, and leaves the cluster on SIGTERM', async () => {
  const { home, run, calls } = nodeCommands();
  const alone = await run(['start', '--head', '--wait']);
  expect(alone).toMatchObject({ code: 1, err: expect.stringContaining('has ended unexpectedly') });
  const mark = { ASRPRO_CLUSTER_NODE: path.join(home, 'cluster') };
  const raylet = spawn('bash', ['-c', 'exec -a raylet sleep 600'], { env: { ...process.env, ...mark } });
  onTestFinished(() => void raylet.kill());
  const waiting = spawn(process.execPath, [mainProgram, 'cluster', 'start', '--head', '--wait'], {
    env: { ...process.env, ASRPRO_HOME: home, ASRPRO_TEST_CALLS: path.join(home, 'calls') },
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  // It prints its result before it waits.
  await once(waiting.stdout, 'data');
  const before = calls().length;
  waiting.kill('SIGTERM');
  expect(await once(waiting, 'exit')).toEqual([0, null]);
  expect(calls().slice(before)).toMatchObject([{ args: ['stop'] }]);
});

test('stop ends the node of this machine', async () => {
  const { run, calls } = nodeCommands();
  expect(await run(['stop'])).toMatchObject({ code: 0, out: 'This machine has left the cluster.' });
  expect(calls()[0].args).toEqual(['stop']);
});

test.each([
  [['start']],
  [['start', '--head', 'a:1']],
  [['start', 'nonsense']],
  [['start', 'head:99999']],
  [['start', '--head', '--slots', 'x']],
  [['leave']],
])('wrong usage: cluster %j', async (args) => {
  const { run, calls } = nodeCommands();
  expect(await run(args)).toMatchObject({ code: 2, out: '' });
  expect(calls()).toEqual([]);
});

test('without the engine environment the exit code is 4 and the message names the remedy', async () => {
  const { code, err } = await runCli(temporaryHome(), ['cluster', 'start', '--head']);
  expect(code).toBe(4);
  expect(err).toContain('asrpro setup cluster');
});

test('doctor reports what a configured cluster lacks, and nothing without a configured cluster', async () => {
  const { home } = nodeCommands();
  const report = async (environment: NodeJS.ProcessEnv) =>
    JSON.parse((await runCli(home, ['doctor', '--json'], environment)).out);
  const doctor = async (environment: NodeJS.ProcessEnv) => (await report(environment)).cluster;
  expect(await doctor({})).toMatchObject([{ name: 'address', state: 'absent' }]);
  const head = await startHead();
  const address = { ASRPRO_CLUSTER_ADDRESS: `127.0.0.1:${head.port}`, ASRPRO_TEST_CALLS: path.join(home, 'calls') };
  expect(await doctor(address)).toMatchObject([
    { name: 'environment', state: 'ok', detail: 'Ray 2.60.0' },
    { name: 'token', state: 'broken' },
    { name: 'head', state: 'ok' },
  ]);
  const { cluster, engines } = await report({ ...address, ASRPRO_CLUSTER_TOKEN: 'secret' });
  // Models run on the cluster, so a missing `core` environment is no problem.
  expect(engines).toContainEqual(expect.objectContaining({ name: 'core', state: 'absent' }));
  expect(cluster).toContainEqual({
    ...{ name: 'nodes', state: 'ok', detail: '2 alive, with 2 slots' },
  });
  await head.stop();
  expect(await doctor({ ...address, ASRPRO_CLUSTER_TOKEN: 'secret' })).toContainEqual(
    expect.objectContaining({ name: 'head', state: 'broken', detail: expect.stringContaining('refuses connections') }),
  );
}, 90_000);

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

/** `asrpro cluster` over a Python that writes down what it is asked. */
function nodeCommands() {
  const home = temporaryHome();
  installFakeCluster(home);
  const said = path.join(home, 'said');
  return {
    home,
    run: (args: string[], environment = {}) =>
      runCli(home, ['cluster', ...args], { ASRPRO_TEST_SAID: said, ...environment }),
    said: () =>
      existsSync(said)
        ? readFileSync(said, 'utf8')
            .trim()
            .split('\n')
            .map((line) => JSON.parse(line))
        : [],
  };
}

test('start --head says what the other machines have to run, and where the secret is', async () => {
  const { home, run, said } = nodeCommands();
  const { code, out, err } = await run(['start', '--head', '--port', '7000', '--slots', '2']);
  expect({ code, err }).toEqual({ code: 0, err: '' });
  expect(out).toMatch(/^ {2}asrpro cluster start [\d.]+:7000$/m);
  expect(out).toContain('/data/cluster/token');
  expect(out).toMatch(/^ +10002-10999 +workers$/m);
  const token = path.join(home, 'cluster', 'token');
  const [{ args, ray }] = said();
  expect(args).toEqual(['start', '--head', '--slots', '2', '--port', '7000']);
  expect(ray).toMatchObject({ RAY_AUTH_MODE: 'token', RAY_AUTH_TOKEN_PATH: token, RAY_USAGE_STATS_ENABLED: '0' });
});

test('start HEAD:PORT joins with the secret of the environment; a head that is not there is said', async () => {
  const { run, said } = nodeCommands();
  const joined = await run(['start', '10.0.0.1:6379', '--json'], { ASRPRO_CLUSTER_TOKEN: 'secret' });
  expect(JSON.parse(joined.out)).toMatchObject({ head: false, address: '10.0.0.1:6379' });
  expect(said()[0]).toMatchObject({ args: ['start', '10.0.0.1:6379'], ray: { RAY_AUTH_TOKEN: 'secret' } });
  const refused = await run(['start', 'unreachable:1']);
  expect(refused.code).toBe(1);
  expect(refused.err).toContain('The head at unreachable:1 does not answer.');
});

test('status shows machines, replicas and rate of cluster.address, for people and as JSON', async () => {
  const { run, said } = nodeCommands();
  const environment = { ASRPRO_CLUSTER_ADDRESS: '10.0.0.1:6379' };
  const people = await run(['status'], environment);
  expect(people.out).toContain('10.0.0.1:6379, Ray 2.60.0: nodes 2, replicas 2 of 2 slots, 12.5 pieces per second');
  expect(people.out).toMatch(/third\s+lost/);
  expect(people.out).toContain('custom: replicas wanted 2, gateways 1');
  const json = JSON.parse((await run(['status', '--json'], environment)).out);
  expect(json).toMatchObject({ address: '10.0.0.1:6379', pieces_per_second: 12.5 });
  expect(json.nodes).toHaveLength(3);
  expect(said()[0].args).toEqual(['status', '--address', '10.0.0.1:6379']);
});

test('start --wait stays as long as the node lives, and leaves the cluster when it is stopped', async () => {
  const { home, run, said } = nodeCommands();
  const alone = await run(['start', '--head', '--wait']);
  expect(alone).toMatchObject({ code: 1, err: expect.stringContaining('has ended unexpectedly') });
  const mark = { ASRPRO_CLUSTER_NODE: path.join(home, 'cluster') };
  const raylet = spawn('bash', ['-c', 'exec -a raylet sleep 600'], { env: { ...process.env, ...mark } });
  onTestFinished(() => void raylet.kill());
  const waiting = spawn(process.execPath, [mainProgram, 'cluster', 'start', '--head', '--wait'], {
    env: { ...process.env, ASRPRO_HOME: home, ASRPRO_TEST_SAID: path.join(home, 'said') },
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  // It says that it has started before it waits.
  await once(waiting.stdout, 'data');
  const before = said().length;
  waiting.kill('SIGTERM');
  expect(await once(waiting, 'exit')).toEqual([0, null]);
  expect(said().slice(before)).toMatchObject([{ args: ['stop'] }]);
});

test('stop says whether there was a node', async () => {
  const { run, said } = nodeCommands();
  expect(await run(['stop'])).toMatchObject({ code: 0, out: 'This machine has left the cluster.' });
  expect(said()[0].args).toEqual(['stop']);
});

test.each([
  [['start']],
  [['start', '--head', 'a:1']],
  [['start', 'nonsense']],
  [['start', 'head:99999']],
  [['start', '--head', '--slots', 'x']],
  [['leave']],
])('wrong usage: cluster %j', async (args) => {
  const { run, said } = nodeCommands();
  expect(await run(args)).toMatchObject({ code: 2, out: '' });
  expect(said()).toEqual([]);
});

test('without its environment every command ends with 4 and the remedy', async () => {
  const { code, err } = await runCli(temporaryHome(), ['cluster', 'start', '--head']);
  expect(code).toBe(4);
  expect(err).toContain('asrpro setup cluster');
});

test('doctor finds what is missing of the cluster that is configured, and nothing where none is', async () => {
  const { home } = nodeCommands();
  const report = async (environment: NodeJS.ProcessEnv) =>
    JSON.parse((await runCli(home, ['doctor', '--json'], environment)).out);
  const doctor = async (environment: NodeJS.ProcessEnv) => (await report(environment)).cluster;
  expect(await doctor({})).toMatchObject([{ name: 'address', state: 'absent' }]);
  const head = await startHead();
  const address = { ASRPRO_CLUSTER_ADDRESS: `127.0.0.1:${head.port}`, ASRPRO_TEST_SAID: path.join(home, 'said') };
  expect(await doctor(address)).toMatchObject([
    { name: 'environment', state: 'ok', detail: 'Ray 2.60.0' },
    { name: 'token', state: 'broken' },
    { name: 'head', state: 'ok' },
  ]);
  const { cluster, engines } = await report({ ...address, ASRPRO_CLUSTER_TOKEN: 'secret' });
  // What models on this machine would need is missed by nobody.
  expect(engines).toContainEqual(expect.objectContaining({ name: 'core', state: 'absent' }));
  expect(cluster).toContainEqual({
    ...{ name: 'nodes', state: 'ok', detail: '2 alive, with 2 slots' },
  });
  await head.stop();
  expect(await doctor({ ...address, ASRPRO_CLUSTER_TOKEN: 'secret' })).toContainEqual(
    expect.objectContaining({ name: 'head', state: 'broken', detail: expect.stringContaining('refuses connections') }),
  );
}, 90_000);

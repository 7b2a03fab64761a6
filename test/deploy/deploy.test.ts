import { readFileSync } from 'node:fs';
import path from 'node:path';
import { expect, test } from 'vitest';
import { commands } from '../../src/cli/commands.ts';
import { parseOptions } from '../../src/cli/options.ts';
import { HEAD_PORT } from '../../src/cluster/settings.ts';
import { defaultConfig } from '../../src/config/schema.ts';
import { settings } from '../../src/config/settings.ts';
import { environmentIds } from '../../src/engine-table.ts';
import { checkout } from '../setup/checkout.ts';

/** Compares the commands, ports and variables of deploy/ with the program. yaml.real.test.ts parses the files as YAML. */
const files = ['Dockerfile', 'docker-compose.yml', 'kuberay.yaml'];
const textOf = (file: string): string =>
  readFileSync(path.join(checkout, 'deploy', file), 'utf8')
    .replaceAll(/^#.*$/gm, '')
    .replaceAll('\\\n', ' ');
const all = files.map(textOf).join('\n');

/** Command lines of the program: after `asrpro` in a shell, as `command:` of the image, and as a JSON list of arguments. */
function commandLines(): string[] {
  const inShell = [...all.matchAll(/(?:^|[\s"])asrpro ([a-z][^&"\n]*)/g)].map(([, line]) => line!);
  const asCommand = [...all.matchAll(/command: ([a-z].*)$/gm)].map(([, line]) => line!);
  const asList = [...all.matchAll(/(?:CMD|args:) (\["serve".*\])$/gm)].map(([, list]) => JSON.parse(list!).join(' '));
  return [...inShell, ...asCommand, ...asList].map((line) => line.trim());
}

test('every command in deploy/ exists and takes its flags', async () => {
  const lines = commandLines();
  expect(lines.length).toBeGreaterThanOrEqual(6);
  for (const line of lines) {
    const [name = '', ...args] = line.split(/\s+/);
    expect(Object.keys(commands), line).toContain(name);
    const { options } = await commands[name]!();
    const { positionals } = parseOptions(args, options);
    if (name === 'setup') expect(environmentIds).toContain(positionals[0]);
    if (name === 'cluster') expect(positionals[0]).toBe('start');
  }
});

test('ports match the defaults of the program', () => {
  const port = defaultConfig.server.port;
  for (const address of all.matchAll(/(?:head|head-svc):(\d+)/g)) expect(Number(address[1])).toBe(HEAD_PORT);
  for (const [, found] of all.matchAll(/127\.0\.0\.1:(\d+)/g)) expect(Number(found)).toBe(port);
  expect(textOf('Dockerfile')).toContain(`EXPOSE ${port}`);
  expect(textOf('kuberay.yaml')).toContain(`containerPort: ${HEAD_PORT}`);
  expect(textOf('kuberay.yaml')).toContain(`targetPort: ${port}`);
});

test('every ASRPRO_ variable is a key of the configuration', () => {
  const known = [...settings.map(({ environment }) => environment), 'ASRPRO_HOME', 'ASRPRO_DEVICE'];
  const set = [...all.matchAll(/\bASRPRO_[A-Z_]+/g)].map(([name]) => name);
  expect(set.length).toBeGreaterThan(5);
  for (const name of set) expect(known).toContain(name);
});

test('version, slots and object store of the Ray nodes match those that asrpro starts', () => {
  const runtime = (file: string): string => readFileSync(path.join(checkout, 'python-runtime', file), 'utf8');
  const version = /^ray(?:\[\w+\])?==(\S+?)(?: |$)/m.exec(runtime('locks/cluster.txt'))![1];
  expect(textOf('kuberay.yaml')).toContain(`rayVersion: "${version}"`);
  const slot = /SLOT = "(\w+)"/.exec(runtime('src/asrpro_worker/cluster/spec.py'))![1];
  expect(textOf('kuberay.yaml')).toContain(`\\"${slot}\\": 1`);
  const store = /OBJECT_STORE_BYTES = ([\d_]+)/.exec(runtime('src/asrpro_worker/cluster/node.py'))![1]!;
  expect(textOf('kuberay.yaml')).toContain(`object-store-memory: "${store.replaceAll('_', '')}"`);
  expect(/PORT = (\d+)/.exec(runtime('src/asrpro_worker/cluster/node.py'))![1]).toBe(String(HEAD_PORT));
});

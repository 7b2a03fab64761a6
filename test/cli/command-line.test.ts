import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { expect, test } from 'vitest';
import manifest from '../../package.json' with { type: 'json' };
import { commands } from '../../src/cli/commands.ts';
import { commandHelp } from '../../src/cli/help.ts';
import { mainProgram } from '../setup/checkout.ts';
import { temporaryHome } from '../setup/home.ts';
import { runCli } from '../setup/run-cli.ts';

const run = (...args: string[]) => runCli(temporaryHome(), args);

test('--version', async () => {
  expect(await run('--version')).toEqual({ code: 0, out: manifest.version, err: '' });
});

test('a reader that closes the pipe early causes no error message', async () => {
  const child = spawn(process.execPath, [mainProgram, 'models'], {
    env: { ...process.env, ASRPRO_HOME: temporaryHome() },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  child.stdout.destroy();
  let err = '';
  child.stderr.on('data', (chunk) => (err += chunk));
  const [code] = await once(child, 'close');
  expect({ code, err }).toEqual({ code: 0, err: '' });
});

test('--help lists every command', async () => {
  const { code, out } = await run('--help');
  expect(code).toBe(0);
  for (const name of Object.keys(commands)) expect(out).toMatch(new RegExp(`^  ${name}\\s+\\S`, 'm'));
});

test('serve --help prints the help of the command', async () => {
  const out = commandHelp(await commands.serve!()).trimEnd();
  expect(await run('serve', '--help')).toEqual({ code: 0, out, err: '' });
});

test.each(Object.keys(commands))('the help of %s shows usage and flags', async (name) => {
  const command = await commands[name]!();
  const help = commandHelp(command);
  expect(help).toContain(`Usage: asrpro ${command.usage}`);
  for (const flag of Object.keys(command.options)) expect(help).toContain(`--${flag}`);
});

test.each([
  [[], /^asrpro turns audio/],
  [['confg'], /no command confg; did you mean config\?/],
  [['config', 'show', '--jsn'], /no flag --jsn; did you mean --json\?/],
  [['config', 'show', '--log-level'], /--log-level/],
  [['config', 'show', '--json=1'], /--json/],
  [['config'], /Usage: asrpro config/],
  [['rm', 'whisper-tiny', 'whisper-base'], /one argument too many: whisper-base\nUsage: asrpro rm ID/],
  [['models', '--json', 'true'], /one argument too many: true/],
  [['--format', 'srt', 'transcribe', 'a.wav'], /--format srt is not possible/],
  [['config', 'get', 'server.prot'], /no key server\.prot; did you mean server\.port\?/],
])('wrong usage: %j', async (args, message) => {
  const { code, out, err } = await run(...args);
  expect({ code, out }).toEqual({ code: 2, out: '' });
  expect(err).toMatch(message);
  expect(err).not.toMatch(/ at .*\.ts:\d/);
});

test('common flags may stand before the command', async () => {
  const home = temporaryHome();
  const file = path.join(home, 'other.json');
  writeFileSync(file, '{}');
  expect(await runCli(home, ['--config', file, 'config', 'path'])).toEqual({ code: 0, out: file, err: '' });
});

test('an invalid configuration ends a command with exit code 2, but `config set` can repair it', async () => {
  const home = temporaryHome();
  writeFileSync(path.join(home, 'config.json'), '{"server":{"port":"x"}}');
  const refused = await runCli(home, ['models']);
  expect(refused).toMatchObject({ code: 2, out: '' });
  expect(refused.err).toContain(`server.port (${path.join(home, 'config.json')}): "x" is not allowed`);
  expect((await runCli(home, ['config', 'validate'])).code).toBe(2);
  expect((await runCli(home, ['config', 'set', 'server.port', '9000'])).code).toBe(0);
  expect(await runCli(home, ['config', 'get', 'server.port'])).toMatchObject({ code: 0, out: '9000' });
  expect((await runCli(home, ['config', 'validate'])).code).toBe(0);
});

test('config show prints the source of every value and hides secrets', async () => {
  const { out } = await runCli(temporaryHome(), ['config', 'show', '--json'], {
    ASRPRO_SERVER_PORT: '1',
    ASRPRO_SERVER_API_KEY: 'secret',
    ASRPRO_CLUSTER_TOKEN: 'secret',
  });
  expect(out).not.toContain('secret');
  expect(JSON.parse(out)).toMatchObject({
    'cluster.token': { value: '***' },
    'server.port': { value: 1, source: 'environment ASRPRO_SERVER_PORT' },
    'server.apiKey': { value: '***' },
    'log.level': { value: 'info', source: 'default' },
  });
});

test('serve prints one JSON line on stdout with the reason why it cannot start', async () => {
  const { code, out, err } = await run('serve', '--port', '99999');
  expect(code).toBe(2);
  expect(JSON.parse(out)).toMatchObject({
    event: 'error',
    code: 'invalid_config',
    message: expect.stringContaining('flag --port'),
  });
  expect(err).toContain('server.port (flag --port): 99999');
});

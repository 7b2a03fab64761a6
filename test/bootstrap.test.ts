import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { copyFileSync, cpSync, existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { execa } from 'execa';
import { beforeEach, expect, test, vi } from 'vitest';
import { checkout } from './setup/checkout.ts';
import { temporaryHome } from './setup/home.ts';

const { bin } = JSON.parse(readFileSync(path.join(checkout, 'package.json'), 'utf8')) as { bin: { asrpro: string } };

/** A checkout with the real bootstrap, a program, and a stand-in for npm that records its calls and installs a Node. */
let project: string;

const npm = `
  const fs = require('node:fs');
  fs.appendFileSync('npm-calls', process.argv.slice(2).join(' ') + '\\n');
  const [command, ...flags] = process.argv.slice(2);
  if (command === 'ci') fs.rmSync('node_modules', { recursive: true, force: true });
  if (process.env.NPM_FAILS) { console.error('npm error no network'); process.exit(7); }
  fs.mkdirSync('node_modules/node/bin', { recursive: true });
  if (process.env.NPM_HANGS) { fs.writeFileSync('hanging', String(process.pid)); setInterval(() => {}, 1000); }
  // npm follows NODE_ENV and the user's settings unless a flag overrides them.
  else if (process.env.NODE_ENV === 'production' && !flags.includes('--include=dev')) process.exit(0);
  else if (process.env.npm_config_ignore_scripts && !flags.includes('--ignore-scripts=false')) process.exit(0);
  else if (process.env.NPM_FORGETS && command === 'ci') process.exit(0);
  else if (process.env.NPM_FORGETS === 'always') process.exit(0);
  else fs.symlinkSync(${JSON.stringify(process.execPath)}, 'node_modules/node/bin/node');
`;

const program = `
  const [action = ''] = process.argv.slice(2);
  console.log(JSON.stringify({ args: process.argv.slice(2), pid: process.pid }));
  process.on('SIGTERM', () => process.exit(5));
  process.on('disconnect', () => require('node:fs').writeFileSync('launcher-gone', ''));
  process.channel.unref();
  if (action === 'stay') setInterval(() => {}, 1000);
  if (action === 'fail') process.exit(3);
  if (action === 'die') process.kill(process.pid, 'SIGKILL');
`;

beforeEach(() => {
  project = temporaryHome();
  mkdirSync(path.join(project, 'src'));
  copyFileSync(path.join(checkout, 'src/bootstrap.mjs'), path.join(project, 'src/bootstrap.mjs'));
  cpSync(path.join(checkout, 'src/claims'), path.join(project, 'src/claims'), { recursive: true });
  writeFileSync(path.join(project, 'package-lock.json'), '{}');
  writeFileSync(path.join(project, 'program.cjs'), program);
  writeFileSync(path.join(project, 'npm-cli.js'), npm);
});

function launch(args: string[], environment: NodeJS.ProcessEnv = {}) {
  const child = spawn(process.execPath, ['src/bootstrap.mjs', 'program.cjs', ...args], {
    cwd: project,
    env: { ...process.env, ...environment, npm_execpath: path.join(project, 'npm-cli.js') },
  });
  const output = { out: '', err: '' };
  child.stdout.on('data', (chunk) => (output.out += chunk));
  child.stderr.on('data', (chunk) => (output.err += chunk));
  const ended = once(child, 'close').then(([code, signal]) => ({ code, signal, ...output }));
  return { child, output, ended };
}
const start = (args: string[], environment?: NodeJS.ProcessEnv) => launch(args, environment).ended;
const npmCalls = () => readFileSync(path.join(project, 'npm-calls'), 'utf8').trim().split('\n');
const isAlive = (pid: number) => existsSync(`/proc/${pid}/exe`);

test('installs once, then only when the lock file changed', async () => {
  const first = await start(['a', '--b']);
  expect(JSON.parse(first.out).args).toEqual(['a', '--b']);
  expect(first.err).toContain('installing');
  expect((await start([])).err).toBe('');
  expect(npmCalls()).toHaveLength(1);
  writeFileSync(path.join(project, 'package-lock.json'), '{"changed":1}');
  await start([]);
  expect(npmCalls()).toHaveLength(2);
});

test('`npx asrpro` in a clone runs the source, even beside an old build, and installs missing packages', async () => {
  for (const [folder, content] of [
    ['dist', 'throw new Error("an old build")'],
    ['src', program],
  ] as const) {
    mkdirSync(path.join(project, folder), { recursive: true });
    writeFileSync(path.join(project, folder, folder === 'src' ? 'main.ts' : 'asrpro.cjs'), content);
  }
  writeFileSync(path.join(project, 'package.json'), JSON.stringify({ name: 'asrpro', bin: bin }));
  mkdirSync(path.join(project, 'bin'));
  copyFileSync(path.join(checkout, bin.asrpro), path.join(project, bin.asrpro));
  const environment = { ...process.env, npm_execpath: path.join(project, 'npm-cli.js') };
  const { stdout } = await execa(process.execPath, [bin.asrpro, 'transcribe', 'FILE'], {
    cwd: project,
    env: environment,
  });
  expect(JSON.parse(stdout).args).toEqual(['transcribe', 'FILE']);
  expect(npmCalls()).toHaveLength(1);
});

test('a failed installation is reported, starts no program, and is retried at the next start', async () => {
  const failed = await start([], { NPM_FAILS: '1' });
  expect(failed).toMatchObject({ code: 1, out: '' });
  expect(failed.err).toContain('npm error no network');
  expect((await start([])).code).toBe(0);
});

test.each([{ NODE_ENV: 'production' }, { npm_config_ignore_scripts: 'true' }, { NPM_FORGETS: 'once' }])(
  'settings of npm that leave something out do not reach it: %j',
  async (environment) => {
    expect((await start([], environment)).code).toBe(0);
    expect(existsSync(path.join(project, 'node_modules/node/bin/node'))).toBe(true);
    const calls = npmCalls().length;
    await start([], environment);
    expect(npmCalls()).toHaveLength(calls);
  },
);

test('an incomplete installation is repaired', async () => {
  await start([], { NPM_FORGETS: 'always' });
  expect(existsSync(path.join(project, 'node_modules/.installed-from'))).toBe(false);
  expect((await start([])).code).toBe(0);
  // Another program has removed files of the installation.
  rmSync(path.join(project, 'node_modules/node'), { recursive: true });
  const calls = npmCalls().length;
  expect((await start([])).code).toBe(0);
  expect(npmCalls()).toHaveLength(calls + 1);
});

test.each(['SIGTERM', 'SIGKILL'] as const)(
  'an installation that got %s is repaired, and nobody waits',
  async (signal) => {
    const { child, ended } = launch([], { NPM_HANGS: '1' });
    await vi.waitFor(() => expect(existsSync(path.join(project, 'hanging'))).toBe(true), { timeout: 10_000 });
    const npm = Number(readFileSync(path.join(project, 'hanging'), 'utf8'));
    child.kill(signal);
    if (signal === 'SIGKILL') process.kill(npm, 'SIGKILL');
    expect((await ended).signal).toBe(signal);
    expect((await start([])).code).toBe(0);
    expect(existsSync(path.join(project, '.installing'))).toBe(false);
  },
);

test('two first starts at the same time run the installer once', async () => {
  const [one, two] = await Promise.all([start([]), start([])]);
  expect([one.code, two.code]).toEqual([0, 0]);
  expect(npmCalls()).toHaveLength(1);
});

test('exit codes, crashes and signals of the program pass through', async () => {
  expect((await start(['fail'])).code).toBe(3);
  expect((await start(['die'])).signal).toBe('SIGKILL');
  const { child, output, ended } = launch(['stay']);
  await vi.waitFor(() => expect(output.out).toContain('pid'), { timeout: 10_000 });
  child.kill('SIGTERM');
  expect((await ended).code).toBe(5);
});

test.runIf(process.platform === 'linux')('the program hears that its launcher was killed', async () => {
  const { child, output } = launch(['stay']);
  await vi.waitFor(() => expect(output.out).toContain('pid'), { timeout: 10_000 });
  const { pid } = JSON.parse(output.out);
  child.kill('SIGKILL');
  await vi.waitFor(() => expect(existsSync(path.join(project, 'launcher-gone'))).toBe(true), { timeout: 10_000 });
  process.kill(pid, 'SIGKILL');
  await vi.waitFor(() => expect(isAlive(pid)).toBe(false), { timeout: 10_000 });
});

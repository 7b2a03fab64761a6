import { randomUUID } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { execa } from 'execa';
import { parse } from 'smol-toml';
import { expect, test, vi } from 'vitest';
import { pipEnvironment, pythonWithPip } from '../../src/engines/pip.ts';
import { runProgram } from '../../src/engines/run-program.ts';
import { uvEnvironment } from '../../src/engines/uv.ts';
import { checkout } from '../setup/checkout.ts';
import { temporaryHome } from '../setup/home.ts';
import { familyProcesses, familyVariable } from '../setup/leftovers.ts';

const python = await pythonWithPip(null, null, process.env);

/** The settings that pip itself finds in an environment. */
async function effective(environment: NodeJS.ProcessEnv): Promise<string> {
  return (await execa(python, ['-m', 'pip', 'config', 'list'], { env: environment, extendEnv: false })).stdout;
}

test("index, proxy and certificate of pip's configuration files are used, and their other settings are not", async () => {
  const home = temporaryHome();
  const folder = path.join(home, '.config', 'pip');
  mkdirSync(folder, { recursive: true });
  const lines = [
    ...['[global]', 'index-url = https://global.example/simple', 'cert = /company.pem', 'quiet = 3', 'user = true'],
    ...[
      'python = /x',
      'require-virtualenv = true',
      'extra-index-url =',
      '    https://one.example',
      '    https://two.example',
    ],
    ...['[install]', 'index-url = https://install.example/simple', 'target = /x', 'constraint = /x', 'no-deps = true'],
    ...['[download]', 'index-url = https://download.example/simple', 'dest = /x'],
  ];
  writeFileSync(path.join(folder, 'pip.conf'), lines.join('\n'));
  const given = { PATH: process.env.PATH, HOME: home, PIP_TIMEOUT: '7', PIP_TARGET: '/x', PIP_CONFIG_FILE: undefined };
  const install = await pipEnvironment(python, 'install', given, home);
  expect(install).toMatchObject({ PIP_INDEX_URL: 'https://install.example/simple', PIP_CERT: '/company.pem' });
  expect(install.PIP_EXTRA_INDEX_URL).toBe('https://one.example https://two.example');
  const download = await pipEnvironment(python, 'download', { ...given, PIP_CERT: '/mine.pem' }, home);
  expect(download).toMatchObject({ PIP_INDEX_URL: 'https://download.example/simple', PIP_CERT: '/mine.pem' });
  const names = (await effective(install)).match(/^[\w.:-]+(?==)/gm)?.sort();
  expect(names).toEqual(
    ['cert', 'config-file', 'disable-pip-version-check', 'extra-index-url', 'index-url', 'no-input', 'timeout'].map(
      (name) => `:env:.${name}`,
    ),
  );
});

test('an unreadable configuration file of pip is ignored, and the one that PIP_CONFIG_FILE names is read', async () => {
  const home = temporaryHome();
  const file = path.join(home, 'pip.conf');
  writeFileSync(file, 'this is [no configuration');
  const given = { PATH: process.env.PATH, HOME: home, PIP_CONFIG_FILE: file };
  expect(await effective(await pipEnvironment(python, 'install', given, home))).not.toContain('this is');
  writeFileSync(file, '[global]\nindex-url = https://named.example/simple\nprefix = /x\n');
  const environment = await pipEnvironment(python, 'install', given, home);
  expect(environment.PIP_INDEX_URL).toBe('https://named.example/simple');
  expect(await effective(environment)).not.toContain('prefix');
});

test("of uv's configuration files only the settings that lead to the index are used", async () => {
  const home = temporaryHome();
  const folder = path.join(home, '.config', 'uv');
  mkdirSync(folder, { recursive: true });
  const lines = [
    ...['native-tls = true', 'exclude-newer = "2001-01-01T00:00:00Z"', 'no-binary = true'],
    ...['[[index]]', 'name = "company"', 'url = "https://company.example/simple"', 'default = true'],
    ...['[pip]', 'target = "/x"', 'index-url = "https://pip.example/simple"'],
  ];
  writeFileSync(path.join(folder, 'uv.toml'), lines.join('\n'));
  {
    using settings = await uvEnvironment(
      { HOME: home, UV_PREFIX: '/x', XDG_CONFIG_DIRS: '/nowhere' },
      path.join(home, 'copy'),
    );
    expect(settings.environment).not.toHaveProperty('UV_PREFIX');
    const { stdout } = await runProgram('cat', [settings.environment.UV_CONFIG_FILE!], { environment: process.env });
    expect(parse(stdout)).toEqual({
      'native-tls': true,
      index: [{ name: 'company', url: 'https://company.example/simple', default: true }],
      pip: { 'index-url': 'https://pip.example/simple' },
    });
  }
  expect(existsSync(path.join(home, 'copy'))).toBe(false);
});

test('a program that hangs is killed with its children, and its caller does not wait longer', async () => {
  const family = randomUUID();
  const environment = { ...process.env, [familyVariable]: family };
  const ended = await runProgram('sh', ['-c', 'sleep 600 & echo told; wait'], { environment, limitMs: 1_000 });
  expect(ended).toMatchObject({ failed: true, stdout: 'told', cause: 'it did not end within 1 s' });
  await vi.waitFor(() => expect(familyProcesses(family)).toEqual([]));
});

test('a cancelled program does not start, and a running one is ended', async () => {
  const abort = new AbortController();
  const running = runProgram('sleep', ['600'], { environment: process.env, signal: abort.signal });
  abort.abort();
  await expect(running).rejects.toMatchObject({ code: 'engine_install_cancelled' });
  await expect(runProgram('sleep', ['600'], { environment: process.env, signal: abort.signal })).rejects.toMatchObject({
    code: 'engine_install_cancelled',
  });
});

test('pip and uv trust SSL_CERT_FILE, even versions that do not read it, and keep certificates that the user names', async () => {
  const home = temporaryHome();
  const authority = path.join(checkout, 'test/fixtures/tls/ca.pem');
  const given = {
    PATH: process.env.PATH,
    HOME: home,
    XDG_CONFIG_DIRS: '/nowhere',
    SSL_CERT_FILE: authority,
    PIP_CONFIG_FILE: '/dev/null',
  };
  const { PIP_CERT, SSL_CERT_FILE } = await pipEnvironment(python, 'install', given, home);
  expect(SSL_CERT_FILE).toBe(authority);
  const body = readFileSync(authority, 'latin1').trim();
  expect(readFileSync(PIP_CERT!, 'latin1').includes(body)).toBe(true);
  using settings = await uvEnvironment(
    { ...given, SSL_CERT_FILE: undefined, REQUESTS_CA_BUNDLE: authority },
    path.join(home, 'uv'),
  );
  expect(readFileSync(settings.environment.SSL_CERT_FILE!, 'latin1').includes(body)).toBe(true);
  const named = await pipEnvironment(python, 'install', { ...given, CURL_CA_BUNDLE: '/mine.pem' }, home);
  expect(named).not.toHaveProperty('PIP_CERT');
});

import { chmodSync, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { beforeEach, expect, test } from 'vitest';
import { resolvePaths } from '../../src/config/paths.ts';
import { configSchema } from '../../src/config/schema.ts';
import { createEngines } from '../../src/engines/engines.ts';
import { readLock } from '../../src/engines/lock.ts';
import type { InstallStatus } from '../../src/engines/types.ts';
import { createLog } from '../../src/log.ts';
import { checkout } from '../setup/checkout.ts';
import { temporaryHome } from '../setup/home.ts';

/** A machine whose programs record their environment and arguments instead of installing hundreds of megabytes. */
let home: string;
let bin: string;
beforeEach(() => {
  home = temporaryHome();
  bin = path.join(home, 'bin');
  mkdirSync(bin);
});

function program(file: string, ...lines: string[]): void {
  writeFileSync(file, ['#!/bin/sh', ...lines].join('\n'));
  chmodSync(file, 0o755);
}

/** A Python 3.11 that answers our questions; a test says what `venv`, `pip` and imports do. */
function fakePython({ venv = '', pip = '', imports = '', hostPip = 'exit 1' } = {}): void {
  const described = JSON.stringify({ root: home, prefix: home, size: 7, packages: { ctranslate2: '4' } });
  program(
    path.join(home, 'python-of-environment'),
    ...common(),
    `case "$*" in *"-m pip"*) ${pip || ':'};; *"import faster_whisper"*) ${imports || ':'};; *"sys.version_info"*) echo "Python 3.11 linux-x86_64 gnu";; *) echo '${described}';; esac`,
  );
  const make = `for last in "$@"; do :; done; mkdir -p "$last/bin"; cp '${home}/python-of-environment' "$last/bin/python"`;
  program(
    path.join(bin, 'python3.11'),
    ...common(),
    `case "$*" in *"-m venv"*) ${venv || make};; *"-m pip --version"*) ${hostPip};; *"-m pip"*) ${pip || ':'};; *) printf '%s\\n3.11.7\\n\\n' "$0";; esac`,
  );
}

function fakeUv(does: string): void {
  program(path.join(bin, 'uv'), ...common(), `case "$1" in --version) echo "uv 0.1.0"; exit 0;; esac; ${does}`);
}

const common = (): string[] => [`{ echo "== $*"; env; } >> '${home}/seen'`];

/** What the programs recorded, in order. */
function seen(): string {
  return existsSync(path.join(home, 'seen')) ? readFileSync(path.join(home, 'seen'), 'utf8') : '';
}

async function install(environment: NodeJS.ProcessEnv = {}, wheels: string | null = null): Promise<InstallStatus> {
  const engines = createEngines({
    config: configSchema.parse({}),
    paths: resolvePaths({ ASRPRO_HOME: home }),
    log: createLog({ level: 'silent', format: 'json' }),
    runtimeRoot: path.join(checkout, 'python-runtime'),
    environment: { PATH: `${bin}:/usr/bin:/bin`, HOME: home, ...environment },
    nvidia: false,
  });
  let last = await engines.install('core', { wheels });
  for await (const status of engines.watch('core')) last = status;
  return last;
}

/** No server listens on this address. */
const noNetwork = { PIP_INDEX_URL: 'http://127.0.0.1:1/simple', PIP_EXTRA_INDEX_URL: '', PIP_FIND_LINKS: '' };

const hostile = {
  PYTHONHOME: '/x',
  PYTHONPATH: '/x',
  PYTHONWARNINGS: 'error',
  PYTHONUSERBASE: '/x',
  PYTHONSTARTUP: '/x',
  PYTHONPLATLIBDIR: 'x',
  PYTHONPYCACHEPREFIX: '/x',
  PYTHON_OF_TOMORROW: '/x',
  __PYVENV_LAUNCHER__: '/x',
  VIRTUAL_ENV: '/x',
  CONDA_PREFIX: '/x',
  PIP_USER: '1',
  PIP_TARGET: '/x',
  PIP_CONSTRAINT: '/x',
  PIP_REQUIRE_VIRTUALENV: '1',
  PIP_Prefix: '/x',
  PIP_OPTION_OF_TOMORROW: '/x',
  PIP_USE_FEATURE: 'fast-deps',
  UV_TARGET: '/x',
  UV_CONSTRAINT: '/x',
  UV_EXCLUDE_NEWER: '2001-01-01',
  UV_OPTION_OF_TOMORROW: '/x',
};
const wanted = {
  PIP_INDEX_URL: 'https://index.example/simple',
  PIP_CERT: '/ca.pem',
  UV_INDEX_URL: 'https://index.example/simple',
  UV_INDEX_COMPANY_PASSWORD: 'secret',
  UV_SYSTEM_CERTS: '1',
  SSL_CERT_FILE: '/ca.pem',
  HTTPS_PROXY: '127.0.0.1:3128',
};

test.each(['uv', 'pip'])('with %s, only the settings that lead to the index reach Python, pip and uv', async (tool) => {
  fakePython();
  if (tool === 'uv')
    fakeUv(
      `case "$1" in venv) for last in "$@"; do :; done; mkdir -p "$last/bin"; cp '${home}/python-of-environment' "$last/bin/python";; esac`,
    );
  const { status, error } = await install({ ...hostile, ...wanted });
  expect(status, error?.message).toBe('installed');
  const lines = seen().split('\n');
  for (const [name, value] of Object.entries(hostile)) expect(lines).not.toContain(`${name}=${value}`);
  const runs = seen()
    .split('== ')
    .filter((run) => run.includes('--require-hashes'));
  expect(runs).toHaveLength(1);
  for (const [name, value] of Object.entries(wanted)) expect(runs[0]).toContain(`${name}=${value}\n`);
});

test('Python does not get the search paths that an AppImage adds, but gets those of the user', async () => {
  fakePython();
  const bundle = {
    APPDIR: '/tmp/.mount_App',
    LD_LIBRARY_PATH: '/tmp/.mount_App/usr/lib:/opt/cuda/lib',
    LD_PRELOAD: '/tmp/.mount_App/x.so',
  };
  expect(await install({ ...bundle, PATH: `/tmp/.mount_App/bin:${bin}:/usr/bin:/bin` })).toMatchObject({ error: null });
  expect(seen()).not.toMatch(/^(PATH|LD_.*)=.*mount_App/m);
  expect(seen()).toContain('LD_LIBRARY_PATH=/opt/cuda/lib\n');
});

test.each([
  ['venv', `case "$1" in venv) echo "error: unexpected argument '--no-project' found" >&2; exit 2;; esac`],
  ['everything', 'echo "Segmentation fault" >&2; exit 139'],
])('when uv fails at %s, pip takes over', async (_at, does) => {
  fakePython();
  fakeUv(does);
  expect(await install()).toMatchObject({ status: 'installed', error: null });
});

test('when uv and pip fail, the error has both reasons', async () => {
  fakePython({ pip: 'echo "ERROR: pip has eaten something bad" >&2; exit 1' });
  fakeUv(`echo "error: unexpected argument '--no-project' found" >&2; exit 2`);
  const { error } = await install();
  expect(error!.code).toBe('engine_install_failed');
  expect(error!.message).toMatch(/pip has eaten something bad.*with uv.*unexpected argument '--no-project'/);
});

test('without a Python, the error has the reason of uv and says that there is no Python', async () => {
  program(path.join(bin, 'python3'), 'echo "pyenv: python3: command not found" >&2; exit 127');
  fakeUv('echo "error: Failed to fetch: \\`https://me:secret@mirror.example/python.tar.gz\\`" >&2; exit 2');
  const { error } = await install({ PATH: bin, ...noNetwork });
  expect(error!.message).toMatch(/mirror\.example|Failed to fetch/);
  expect(error!.message).toMatch(/No usable Python/);
  expect(error!.message).not.toContain('secret');
});

test('without Python, uv and network one sentence names the missing parts and the remedies', async () => {
  const { error } = await install({ PATH: bin, ...noNetwork });
  expect(error).toMatchObject({ code: 'python_not_found' });
  expect(error!.message).toMatch(
    /^No Python was found on this machine, and uv, which could download one, cannot be fetched: the package index \(127\.0\.0\.1:1\) cannot be reached: it refuses connections \(ECONNREFUSED\)\. .*Or install Python/,
  );
});

test('uv is downloaded although there is a Python that is too old', async () => {
  program(path.join(bin, 'python3'), ...common(), `printf '%s\\n3.8.1\\n\\n' "$0"`);
  const { error } = await install({ PATH: bin, ...noNetwork });
  expect(error!.message).toMatch(
    /^Python 3\.8\.1 is too old for the engines, and uv, which could download one, cannot be fetched/,
  );
});

test('a folder of wheels is accepted only for its engine, version and kind of machine', async () => {
  fakePython();
  const folder = path.join(home, 'wheels');
  mkdirSync(folder);
  const { error } = await install({}, folder);
  expect(error!.message).toMatch(/contains no packages .*setup --download DIR/);
  const of = { engine: 'core', lock: '0', platform: `${process.platform}-${process.arch}`, python: '3.11' };
  writeFileSync(path.join(folder, 'asrpro-wheels.json'), JSON.stringify(of));
  expect((await install({}, folder)).error!.message).toMatch(/for another version of asrpro/);
  const { hash: lock } = readLock(path.join(checkout, 'python-runtime'), 'core');
  writeFileSync(path.join(folder, 'asrpro-wheels.json'), JSON.stringify({ ...of, lock, python: '3.12' }));
  expect((await install({}, folder)).error!.message).toMatch(
    /packages are for Python 3\.12, and Python 3\.11 was found/,
  );
  writeFileSync(path.join(folder, 'asrpro-wheels.json'), JSON.stringify({ ...of, lock }));
  expect(await install({}, folder)).toMatchObject({ status: 'installed', error: null });
  expect(seen()).toMatch(new RegExp(`== .*pip install .*--no-index --find-links ${folder} `));
});

test('a Python after a broken shim on PATH is found', async () => {
  fakePython();
  const shims = path.join(home, 'shims');
  mkdirSync(shims);
  program(path.join(shims, 'python3.11'), 'exit 127');
  expect(await install({ PATH: `${shims}:${bin}:/usr/bin:/bin` })).toMatchObject({ status: 'installed', error: null });
});

const debian = [
  'The virtual environment was not created successfully because ensurepip is not',
  'available.  On Debian/Ubuntu systems, you need to install the python3-venv',
  'package using the following command.',
  '',
  '    apt install python3.11-venv',
  '',
  `Failing command: /tmp/x/bin/python3.11`,
]
  .map((line) => `echo "${line}"`)
  .join('; ');

test('on Debian without python3-venv the error names the package to install', async () => {
  fakePython({ venv: `${debian}; exit 1` });
  const { error } = await install();
  expect(error!.code).toBe('engine_install_failed');
  expect(error!.message).toContain('sudo apt install python3.11-venv');
  expect(error!.message).not.toContain('Failing command');
});

test('on Debian without python3-venv but with a pip the installation works without the package', async () => {
  const make = `for last in "$@"; do :; done; mkdir -p "$last/bin"; cp '${home}/python-of-environment' "$last/bin/python"`;
  fakePython({
    venv: `case "$*" in *--without-pip*) ${make};; *) ${debian}; exit 1;; esac`,
    hostPip: 'echo "pip 23.0.1 from /usr/lib/python3/dist-packages/pip (python 3.11)"',
  });
  expect(await install()).toMatchObject({ status: 'installed', error: null });
  expect(seen()).toMatch(/== -m pip --python \S+\/bin\/python install --require-hashes/);
});

test('when the disk becomes full, the error says how much is needed and how much is free', async () => {
  fakePython({
    pip: 'echo "ERROR: Could not install packages due to an OSError: [Errno 28] No space left on device"; exit 1',
  });
  const { error } = await install();
  expect(error).toMatchObject({ code: 'disk_full' });
  expect(error!.message).toMatch(/\d+ MB are needed, and \d+ MB are free/);
});

test('a file in place of the folder of the engines is an error of the disk', async () => {
  fakePython();
  writeFileSync(path.join(home, 'engines'), '');
  const { error } = await install();
  expect(error!.code).toBe('folder_unusable');
  expect(error!.message).toMatch(/folder of the engines.*ASRPRO_HOME/);
});

test('an installed engine is installed again on request', async () => {
  fakePython();
  await install();
  const engines = createEngines({
    config: configSchema.parse({}),
    paths: resolvePaths({ ASRPRO_HOME: home }),
    log: createLog({ level: 'silent', format: 'json' }),
    runtimeRoot: path.join(checkout, 'python-runtime'),
    environment: { PATH: `${bin}:/usr/bin:/bin`, HOME: home },
    nvidia: false,
  });
  const before = seen().length;
  await engines.install('core');
  expect(seen().length).toBe(before);
  await engines.install('core', { reinstall: true });
  let last: InstallStatus | undefined;
  for await (const status of engines.watch('core')) last = status;
  expect(last).toMatchObject({ status: 'installed' });
  expect(seen().slice(before)).toContain('--require-hashes');
});

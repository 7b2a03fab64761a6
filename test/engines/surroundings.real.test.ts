import { chmodSync, existsSync, mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { expect, test } from 'vitest';
import { audio, jfkWords } from '../setup/checkout.ts';
import { temporaryHome } from '../setup/home.ts';
import { runCli } from '../setup/run-cli.ts';
import { sharedHome } from '../setup/shared-home.ts';

test('core is installed and transcribes although every hostile setting is set at once', {
  timeout: 900_000,
}, async () => {
  const home = temporaryHome();
  const at = (...parts: string[]): string => path.join(home, ...parts);
  for (const folder of ['bin', 'packages/numpy', '.config/pip', '.config/uv', 'models']) {
    mkdirSync(at(folder), { recursive: true });
  }
  const elsewhere = at('elsewhere');
  writeFileSync(at('packages/numpy/__init__.py'), 'raise RuntimeError("the wrong numpy")');
  writeFileSync(at('packages/sitecustomize.py'), 'raise RuntimeError("the wrong site")');
  writeFileSync(at('constraints.txt'), 'numpy==1.0\n');
  // An old uv that knows none of our options.
  writeFileSync(
    at('bin/uv'),
    '#!/bin/sh\ncase "$1" in --version) echo "uv 0.1.0";; *) echo "error: unexpected argument" >&2; exit 2;; esac\n',
  );
  chmodSync(at('bin/uv'), 0o755);
  const pip = ['[global]', 'require-virtualenv = true', 'quiet = 3', `prefix = ${elsewhere}`];
  writeFileSync(
    at('.config/pip/pip.conf'),
    [...pip, '[install]', 'user = true', `target = ${elsewhere}`, 'no-deps = true'].join('\n'),
  );
  symlinkSync(path.join(sharedHome, 'models', 'whisper-tiny.en'), at('models', 'whisper-tiny.en'));
  const hostile: NodeJS.ProcessEnv = {
    PATH: `${at('bin')}:${process.env.PATH}`,
    XDG_CONFIG_HOME: at('.config'),
    PYTHONHOME: '/x',
    PYTHONPATH: at('packages'),
    PYTHONWARNINGS: 'error',
    PYTHONSTARTUP: '/x',
    PYTHONUSERBASE: elsewhere,
    PYTHONOPTIMIZE: '2',
    PYTHONPLATLIBDIR: 'x',
    VIRTUAL_ENV: elsewhere,
    CONDA_PREFIX: elsewhere,
    PIP_USER: '1',
    PIP_TARGET: elsewhere,
    PIP_PREFIX: elsewhere,
    PIP_ROOT: elsewhere,
    PIP_CONSTRAINT: at('constraints.txt'),
    PIP_BUILD_CONSTRAINT: at('constraints.txt'),
    PIP_REQUIREMENT: at('constraints.txt'),
    PIP_REQUIRE_VIRTUALENV: '1',
    PIP_DRY_RUN: '1',
    PIP_NO_BINARY: ':all:',
    PIP_PYTHON: '/x',
    PIP_PLATFORM: 'win32',
    PIP_REPORT: '/x/y',
    PIP_LOG: '/proc/x',
    PIP_QUIET: '3',
    UV_TARGET: elsewhere,
    UV_PREFIX: elsewhere,
    UV_CONSTRAINT: at('constraints.txt'),
    UV_OVERRIDE: at('constraints.txt'),
    UV_PROJECT_ENVIRONMENT: elsewhere,
    UV_CONFIG_FILE: '/x',
    UV_PYTHON: '2.7',
  };
  const setup = await runCli(home, ['setup', 'core'], hostile);
  expect(setup.code, setup.err).toBe(0);
  expect(existsSync(elsewhere)).toBe(false);
  const said = await runCli(home, ['transcribe', '--model', 'whisper-tiny.en', audio('english/jfk.flac')], hostile);
  expect(said.code, said.err).toBe(0);
  expect(said.out.toLowerCase().replace(/[^a-z ]/g, '')).toBe(jfkWords);
});

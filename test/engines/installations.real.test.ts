import { copyFileSync, existsSync, globSync, mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { execa } from 'execa';
import { beforeAll, expect, test } from 'vitest';
import { hostTarget } from '../../packaging/targets.ts';
import { interpreterIn } from '../../src/engines/environment.ts';
import { startFaultHub } from '../downloads/fault-hub.ts';
import { modelFiles } from '../downloads/model-files.ts';
import { wordsOf } from '../setup/api.ts';
import { archiveOfPython, makeBareRoot } from '../setup/bare-root.ts';
import { executableFor } from '../setup/build.ts';
import { audio, jfkWords } from '../setup/checkout.ts';
import { temporaryHome } from '../setup/home.ts';
import { startPackageIndex } from '../setup/package-index.ts';
import { sharedHome } from '../setup/shared-home.ts';

const model = 'whisper-tiny.en';
const jfk = audio('english/jfk.flac');
let asrpro: string;
beforeAll(async () => {
  asrpro = await executableFor(hostTarget());
}, 600_000);

/**
 * One download of the packages of core serves two installations: with pip, from the folder, although every hostile setting
 * is set at once; and with uv, on a machine that has no Python.
 */
test('packages are downloaded and installed among hostile settings, and installed on a machine without Python', {
  timeout: 900_000,
}, async () => {
  const wheels = path.join(temporaryHome(), 'wheels');
  const home = temporaryHome();
  const { environment, elsewhere } = hostileSettings(home);
  const run = (args: string[], more: NodeJS.ProcessEnv = {}) =>
    execa(asrpro, args, { env: { ...environment, ...more, ASRPRO_HOME: home }, stdin: 'ignore' });
  await run(['setup', 'core', '--download', wheels]);
  await run(['setup', 'core', '--offline', wheels], {
    PIP_INDEX_URL: 'http://127.0.0.1:1',
    HTTPS_PROXY: 'http://127.0.0.1:1',
  });
  expect(existsSync(elsewhere)).toBe(false);
  const [marker] = globSync('engines/core-*/asrpro-environment.json', { cwd: home });
  const engine = path.join(home, path.dirname(marker!));
  expect(globSync('lib/**/tests/*', { cwd: engine })).toEqual([]);
  mkdirSync(path.join(home, 'models'));
  symlinkSync(path.join(sharedHome, 'models', model), path.join(home, 'models', model));
  expect(wordsOf((await run(['transcribe', '--model', model, jfk])).stdout)).toBe(jfkWords);

  await using index = await startPackageIndex([wheels], await archiveOfPython(interpreterIn(engine), temporaryHome()));
  await using hub = await startFaultHub(modelFiles(model));
  const bare = makeBareRoot(temporaryHome(), asrpro);
  copyFileSync(jfk, bare.at('app/jfk.flac'));
  const network = {
    PIP_INDEX_URL: index.url,
    UV_PYTHON_DOWNLOADS_JSON_URL: index.downloads,
    UV_PYTHON_INSTALL_MIRROR: index.mirror,
    ASRPRO_DOWNLOAD_ENDPOINT: hub.url,
    ASRPRO_DOWNLOAD_MIRRORS: 'false',
  };
  expect((await bare.asrpro(['doctor'])).out).toContain('`asrpro setup` gets uv, which downloads a Python');
  const setup = await bare.asrpro(['setup', 'core'], network);
  expect(setup, setup.err).toMatchObject({ code: 0 });
  expect(setup.err).toMatch(/unpacking uv[\s\S]*fetching Python[\s\S]*fetching ctranslate2[\s\S]*installed/);
  expect(index.asked, 'uv is inside the executable').not.toContain('/simple/uv/');
  expect((await bare.asrpro(['pull', model], network)).code).toBe(0);
  const said = await bare.asrpro(['transcribe', '--model', model, '/app/jfk.flac']);
  expect(wordsOf(said.out), said.err).toBe(jfkWords);
  expect((await bare.asrpro(['doctor'])).out).toMatch(
    /^ {2}ok 3\.\d+\S* +\/home\/engines\/python\/\S+, used by the engine core$/m,
  );

  const [uv] = globSync('home/engines/uv-*/uv', { cwd: bare.at('') });
  copyFileSync(bare.at(uv!), bare.at('app/uv'));
  const beside = await bare.asrpro(['doctor'], { ASRPRO_HOME: '/home/other' });
  expect(beside.out, 'the uv that an app ships is found').toContain('`asrpro setup` uses uv, which downloads a Python');
});

/** Settings of pip, uv and Python that would break an installation or send it to the folder `elsewhere`. */
function hostileSettings(home: string): { environment: NodeJS.ProcessEnv; elsewhere: string } {
  const at = (...parts: string[]): string => path.join(home, ...parts);
  for (const folder of ['bin', 'packages/numpy', '.config/pip', '.config/uv']) {
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
    { mode: 0o755 },
  );
  const pip = ['[global]', 'require-virtualenv = true', 'quiet = 3', `prefix = ${elsewhere}`];
  writeFileSync(
    at('.config/pip/pip.conf'),
    [...pip, '[install]', 'user = true', `target = ${elsewhere}`, 'no-deps = true'].join('\n'),
  );
  const environment = {
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
  return { environment, elsewhere };
}

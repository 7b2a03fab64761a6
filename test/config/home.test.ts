import os from 'node:os';
import path from 'node:path';
import { expect, onTestFinished, test, vi } from 'vitest';
import { findHome, lendHome } from '../../src/config/home.ts';
import { loadConfig } from '../../src/config/load.ts';
import { resolvePaths } from '../../src/config/paths.ts';
import { temporaryHome } from '../setup/home.ts';

const load = (environment: NodeJS.ProcessEnv) =>
  loadConfig({ file: path.join(temporaryHome(), 'config.json'), environment, flags: [] }).config;

/** Behaves as for a uid without an entry in the user database. */
function nobody(): void {
  const spy = vi.spyOn(os, 'userInfo').mockImplementation(() => {
    throw Object.assign(new Error('uv_os_get_passwd returned ENOENT'), { code: 'ERR_SYSTEM_ERROR' });
  });
  onTestFinished(() => spy.mockRestore());
}

test('an unknown home directory is an error only where a path below it is needed', () => {
  nobody();
  expect(findHome({ HOME: '/home/me' })).toBe('/home/me');
  for (const environment of [{}, { HOME: '' }, { HOME: 'relative' }]) {
    expect(findHome(environment)).toBeNull();
    expect(() => resolvePaths(environment)).toThrow(
      expect.objectContaining({ code: 'folder_unusable', hint: expect.stringContaining('ASRPRO_HOME') }),
    );
    expect(() => resolvePaths({ ...environment, ASRPRO_HOME: '~/x' })).toThrow(/no home directory/);
    expect(resolvePaths({ ...environment, ASRPRO_HOME: '/srv/asrpro' })).toMatchObject({
      configFile: '/srv/asrpro/config.json',
      models: '/srv/asrpro/models',
    });
  }
});

test('white space at the ends of ASRPRO_HOME is no part of the path', () => {
  expect(resolvePaths({ ASRPRO_HOME: ' /srv/asr pro \r\n' }).data).toBe('/srv/asr pro');
  expect(resolvePaths({ ASRPRO_HOME: ' ', HOME: '/home/me', XDG_DATA_HOME: '/data' }).data).toBe('/data/asrpro');
});

test('programs that asrpro starts get a HOME', () => {
  nobody();
  const environment = { ASRPRO_HOME: '/srv/asrpro' };
  lendHome(environment, '/srv/asrpro');
  expect(environment).toEqual({ ASRPRO_HOME: '/srv/asrpro', HOME: '/srv/asrpro' });
  const own = { HOME: '/home/me' };
  lendHome(own, '/srv/asrpro');
  expect(own).toEqual({ HOME: '/home/me' });
});

test('without HOME the home directory comes from the user database', () => {
  expect(findHome({})).toBe(os.userInfo().homedir);
});

test('the default directories follow the given environment', () => {
  const { configFile, data, cache } = resolvePaths({
    HOME: '/home/me',
    XDG_DATA_HOME: '/data',
    XDG_CACHE_HOME: 'relative',
  });
  expect([configFile, data, cache]).toEqual([
    '/home/me/.config/asrpro/config.json',
    '/data/asrpro',
    '/home/me/.cache/asrpro',
  ]);
});

test('~ in ASRPRO_HOME is the home directory', () => {
  expect(resolvePaths({ HOME: '/home/me', ASRPRO_HOME: '~' }).data).toBe('/home/me');
  expect(resolvePaths({ HOME: '/home/me', ASRPRO_HOME: '~/a b' }).data).toBe('/home/me/a b');
  expect(() => resolvePaths({ HOME: '/home/me', ASRPRO_HOME: '~bob/x' })).toThrow(/your own home directory only/);
});

test('~ in every setting that is a path is the home directory', () => {
  const { models, worker } = load({
    HOME: '/home/me',
    ASRPRO_MODELS_DIRECTORY: '~/m',
    ASRPRO_MODELS_SEARCH_DIRECTORIES: '~,~/s,/a/~/b',
    ASRPRO_MODELS_CUSTOM: '[{"id":"mine","path":"~/w"},{"id":"theirs","repo":"a/b"}]',
    ASRPRO_WORKER_PYTHON: '~/venv/bin/python',
  });
  expect(models).toMatchObject({
    directory: '/home/me/m',
    searchDirectories: ['/home/me', '/home/me/s', '/a/~/b'],
    custom: [{ path: '/home/me/w' }, { repo: 'a/b' }],
  });
  expect(worker.python).toBe('/home/me/venv/bin/python');
});

test.each([
  ['ASRPRO_MODELS_DIRECTORY', '~bob/m', 'models.directory'],
  ['ASRPRO_MODELS_SEARCH_DIRECTORIES', '/a,~bob', 'models.searchDirectories.1'],
  ['ASRPRO_MODELS_CUSTOM', '[{"id":"mine","path":"~bob/w"}]', 'models.custom.0.path'],
  ['ASRPRO_WORKER_PYTHON', '~bob/python', 'worker.python'],
])('the home directory of another user is refused: %s=%s', (name, value, key) => {
  expect(() => load({ [name]: value })).toThrow(
    expect.objectContaining({
      code: 'invalid_config',
      message: expect.stringMatching(`^${key} .*${name}.*~bob.*your own home directory only`),
    }),
  );
});

import { mkdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { expect, test, vi } from 'vitest';
import { call, post } from '../setup/api.ts';
import { startGateway } from '../setup/gateway.ts';
import { temporaryHome } from '../setup/home.ts';
import { runCli } from '../setup/run-cli.ts';

/** Makes Node behave as for a uid without an entry in the user database, until HOME is set. */
const nobody = `data:text/javascript,${encodeURIComponent(`
  import os from 'node:os';
  import { syncBuiltinESMExports } from 'node:module';
  const fail = () => { throw Object.assign(new Error('uv_os_homedir returned ENOENT'), { code: 'ERR_SYSTEM_ERROR' }); };
  os.userInfo = fail;
  os.homedir = () => process.env.HOME || fail();
  delete process.env.HOME;
  syncBuiltinESMExports();
`)}`;
const withoutHome = { NODE_OPTIONS: `--import=${nobody}` };

test('without a home directory everything works below ASRPRO_HOME', async () => {
  const home = temporaryHome();
  expect((await runCli(home, ['models'], withoutHome)).code).toBe(0);
  expect((await runCli(home, ['config', 'set', 'server.port', '8000'], withoutHome)).code).toBe(0);
  expect(await runCli(home, ['config', 'get', 'server.port'], withoutHome)).toMatchObject({ code: 0, out: '8000' });
  const { url, output } = await startGateway({ home, mock: true, environment: withoutHome });
  expect((await post(url, '/v1/settings/model', { model_id: 'mock-echo' })).status).toBe(200);
  await vi.waitFor(() => expect(statSync(path.join(home, 'state.json')).size).toBeGreaterThan(0));
  expect(output.err).not.toContain('not remembered');
});

test('without a home directory and ASRPRO_HOME, help and version work, and other commands name the variable to set', async () => {
  expect(await runCli('', ['--version'], withoutHome)).toMatchObject({ code: 0, err: '' });
  expect((await runCli('', ['serve', '--help'], withoutHome)).code).toBe(0);
  const { code, out, err } = await runCli('', ['serve', '--mock', '--port', '0'], withoutHome);
  expect(code).toBe(1);
  expect(out.split('\n').map((line) => JSON.parse(line))).toEqual([
    {
      event: 'error',
      code: 'folder_unusable',
      message: expect.stringContaining('There is no home directory'),
      hint: expect.stringContaining('ASRPRO_HOME'),
    },
  ]);
  expect(err).not.toMatch(/ at .*:\d/);
});

test.each(['a file', 'below a file', 'a folder whose run is a file'])('ASRPRO_HOME is %s', async (kind) => {
  const place = path.join(temporaryHome(), 'place');
  if (kind === 'a folder whose run is a file') mkdirSync(place);
  writeFileSync(kind === 'a folder whose run is a file' ? path.join(place, 'run') : place, '');
  const home = kind === 'below a file' ? path.join(place, 'x') : place;
  const { code, out, err } = await runCli(home, ['serve', '--mock', '--port', '0']);
  expect(code).toBe(1);
  expect(JSON.parse(out)).toMatchObject({ event: 'error', code: 'folder_unusable' });
  expect(err).toContain('ASRPRO_HOME');
  expect(err).toContain(home);
  expect(err).not.toMatch(/ at .*:\d/);
});

test('a folder for compiled code that cannot be created causes no failure', async () => {
  const home = temporaryHome();
  writeFileSync(path.join(home, 'cache'), '');
  expect(await runCli(home, ['show', 'base'])).toMatchObject({ code: 0, err: '' });
});

test.each(['CJK 用户的文件夹 モデル', 'Größe 🎙️'])('a home with any letters in its path works: %s', async (name) => {
  const home = path.join(temporaryHome(), name.repeat(4));
  expect((await runCli(home, ['config', 'set', 'log.level', 'warn'])).code).toBe(0);
  expect((await runCli(home, ['models'])).code).toBe(0);
  const { url } = await startGateway({ home, mock: true });
  expect((await call(url, '/v1/models')).status).toBe(200);
});

test('a selection that cannot be stored is logged, and the model is loaded', async () => {
  const home = temporaryHome();
  mkdirSync(path.join(home, 'state.json'));
  const { url, output } = await startGateway({ home, mock: true, args: ['--model', 'last'] });
  expect((await post(url, '/v1/settings/model', { model_id: 'mock-echo' })).status).toBe(200);
  await vi.waitFor(() => expect(output.err).toContain('could not store the selected model'));
  rmSync(path.join(home, 'state.json'), { recursive: true });
});

test('config get hides the API key in a section, and prints it when asked for the key itself', async () => {
  const key = { ASRPRO_SERVER_API_KEY: 'secret' };
  const home = temporaryHome();
  expect(JSON.parse((await runCli(home, ['config', 'get', 'server'], key)).out)).toMatchObject({ apiKey: '***' });
  expect((await runCli(home, ['config', 'get', 'server.apiKey'], key)).out).toBe('"secret"');
});

test('a file given by --config must exist, and the error names its path', async () => {
  const home = temporaryHome();
  const absent = await runCli(home, ['--config', path.join(home, 'absent.json'), 'config', 'validate']);
  expect(absent).toMatchObject({ code: 2, err: expect.stringContaining('absent.json cannot be read') });
  const file = path.join(home, 'other.json');
  writeFileSync(file, '{"models":{"custom":[{"id":"whisper-base","repo":"a/b"}]}}');
  for (const command of [['models'], ['config', 'validate']]) {
    const { code, err } = await runCli(home, [...command, `--config=~/other.json`], { HOME: home });
    expect({ code, err }).toEqual({
      code: 2,
      err: expect.stringContaining(`models.custom.0.id (${file}): "whisper-base"`),
    });
  }
});

test('the log and doctor report a search directory that does not exist', async () => {
  const home = temporaryHome();
  const gone = { ASRPRO_MODELS_SEARCH_DIRECTORIES: path.join(home, 'gone') };
  const listed = await runCli(home, ['models'], gone);
  expect(listed.code).toBe(0);
  expect(listed.err).toContain(path.join(home, 'gone'));
  const { models } = JSON.parse((await runCli(home, ['doctor', '--json'], gone)).out);
  expect(models).toContainEqual({
    name: path.join(home, 'gone'),
    state: 'absent',
    detail: expect.stringContaining('no such file or folder'),
  });
});

test.each(['none-such', 'mock-download'])(
  '--model last starts although that model is not installed: %s',
  async (id) => {
    const home = temporaryHome();
    writeFileSync(path.join(home, 'state.json'), JSON.stringify({ selectedModel: id }));
    const { url, output } = await startGateway({ home, mock: true, args: ['--model', 'last'] });
    expect((await call(url, '/v1/settings/model')).json).toMatchObject({ model: null, status: 'none' });
    expect(output.err).toContain('is no longer installed');
  },
);

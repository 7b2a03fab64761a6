import { copyFileSync, mkdirSync, openAsBlob, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { build } from 'esbuild';
import { execa } from 'execa';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { injectProgram } from '../../packaging/inject.ts';
import { inPlaceOf } from '../../packaging/patch.ts';
import { hostNode, nodeOf } from '../../packaging/target-node.ts';
import { targets } from '../../packaging/targets.ts';
import { environmentFolder, MARKER } from '../../src/engines/environment.ts';
import { readLock } from '../../src/engines/lock.ts';
import { call, post, transcribe } from '../setup/api.ts';
import { executableFor } from '../setup/build.ts';
import { audio, checkout } from '../setup/checkout.ts';
import { missingPackages } from '../setup/debian.ts';
import { type WindowsApp, Wine, windowsPath } from './wine.ts';

const missing = await missingPackages('wine64', 'wine');
const target = targets.find(({ platform, arch }) => platform === 'win32' && arch === 'x64')!;
const jfk = audio('english/jfk.flac');
const { version } = JSON.parse(readFileSync(path.join(checkout, 'package.json'), 'utf8'));

describe.skipIf(missing)(`the executable for Windows under wine${missing ? ` (skipped: ${missing})` : ''}`, () => {
  const wine = new Wine(target);
  let app: WindowsApp;
  let file: string;
  const mock = ['--mock', '--port', '0', '--watch-stdin'];

  beforeAll(async () => {
    const [built] = await Promise.all([executableFor(target), wine.prepare()]);
    const installed = path.join(wine.newFolder('Prógramme und mehr'), path.basename(built));
    copyFileSync(built, installed);
    file = windowsPath(installed);
    app = await wine.startApp();
  }, 300_000);
  afterAll(() => wine[Symbol.asyncDispose](), 60_000);

  const home = (name: string) => ({ ASRPRO_HOME: windowsPath(wine.newFolder(name)) });

  test('prints its version, and ends with the exit code of each error', async () => {
    const env = home('Fehler');
    expect(await app.run({ file, args: ['--version'], env })).toMatchObject({ code: 0, out: `${version}\n` });
    expect(await app.run({ file, args: ['nonsense'], env })).toMatchObject({ code: 2 });
    const taken = await app.serve({ file, args: mock, env });
    const busy = await app.run({ file, args: ['serve', '--mock', '--port', String(taken.ready.port)], env });
    expect(busy).toMatchObject({ code: 3 });
    expect(JSON.parse(busy.out)).toMatchObject({ event: 'error', code: 'address_in_use' });
    const config = path.join(wine.folder, 'Fehler', 'config.json');
    writeFileSync(config, '{"server":{"port":"none"}}');
    expect(await app.run({ file, args: ['serve', '--mock'], env })).toMatchObject({ code: 2 });
    expect(await app.closeStdin(taken.pid)).toMatchObject({ code: 0 });
  });

  test('transcribes an upload, plays every scenario of the mock, and stops with the end of stdin', async () => {
    const env = home('Größe der Welt');
    const { url, pid } = await app.serve({ file, args: mock, env });
    const answers = async (model: string) => {
      const { status, json } = await transcribe(url, jfk, { model });
      return [status, json.error?.code ?? null];
    };
    expect(await answers('mock-echo')).toEqual([200, null]);
    expect(await answers('mock-crash-on-load')).toEqual([500, 'worker_crashed']);
    expect(await answers('mock-crash-in-job')).toEqual([500, 'worker_crashed']);
    expect(await answers('mock-out-of-memory')).toEqual([500, 'out_of_memory']);
    expect(await answers('mock-broken')).toEqual([500, 'model_broken']);
    expect(await answers('mock-busy')).toEqual([503, 'model_busy']);
    expect(await answers('mock-echo')).toEqual([200, null]);
    await post(url, '/v1/models/mock-download/download', {});
    await vi.waitFor(async () => expect(await answers('mock-download')).toEqual([200, null]));
    await post(url, '/v1/models/mock-download-fails/download', {});
    const job = async () => (await call(url, '/v1/models/mock-download-fails/download')).json;
    await vi.waitFor(async () => expect(await job()).toMatchObject({ status: 'failed' }));
    const streamed = await transcribe(url, jfk, { model: 'mock-echo', stream: 'true' });
    expect(streamed.text).toContain('transcript.text.done');
    // The client disconnects, and the next request does not wait for that job.
    const hanging = new FormData();
    hanging.append('model', 'mock-hang');
    hanging.append('file', await openAsBlob(jfk), 'jfk.flac');
    const abort = AbortSignal.timeout(1000);
    const given = fetch(`${url}/v1/audio/transcriptions`, { method: 'POST', body: hanging, signal: abort });
    await expect(given).rejects.toThrow('timeout');
    expect(await answers('mock-echo')).toEqual([200, null]);
    expect((await call(url, '/docs')).status).toBe(200);
    const stopped = await app.closeStdin(pid);
    expect(stopped.code, stopped.err).toBe(0);
    expect(readdirSync(path.join(wine.folder, 'Größe der Welt', 'run'))).toEqual([]);
  });

  test('runs twice on one home and unpacks its files once', async () => {
    const env = home('zwei');
    const [one, other] = await Promise.all([
      app.serve({ file, args: mock, env }),
      app.serve({ file, args: mock, env }),
    ]);
    expect(one.ready.instance).not.toBe(other.ready.instance);
    for (const { url } of [one, other]) expect((await transcribe(url, jfk)).status).toBe(200);
    const unpacked = readdirSync(path.join(wine.folder, 'zwei', 'program'));
    expect(unpacked).toEqual([expect.stringMatching(/^[0-9a-f]{16}$/)]);
    for (const { pid } of [one, other]) expect(await app.closeStdin(pid)).toMatchObject({ code: 0 });
  });

  test('ends when the app that started it has died', async () => {
    const dying = await wine.startApp();
    const { url } = await dying.serve({ file, args: mock, env: home('verwaist') });
    expect((await call(url, '/health')).status).toBe(200);
    await dying.die();
    await vi.waitFor(() => expect(fetch(`${url}/health`)).rejects.toThrow());
  });

  test('uses a worker over encrypted TCP, and an unload ends it', async () => {
    const folder = wine.newFolder('mit Motor');
    await installWorker(folder);
    const env = { ...home('mit Motor'), TEST_PACKAGES: windowsPath(path.join(checkout, 'package.json')) };
    const { url, pid } = await app.serve({ file, args: ['--port', '0', '--watch-stdin'], env });
    const answer = await transcribe(url, jfk, { model: 'whisper-base' });
    expect(answer.json, answer.text).toMatchObject({ text: `${statSync(jfk).size} bytes` });
    const { worker } = (await call(url, '/health')).json;
    expect(worker).toMatchObject({ state: 'ready', pid: expect.any(Number) });
    const unloaded = await call(url, '/v1/settings/model', { method: 'DELETE' });
    expect(unloaded.json, unloaded.text).toMatchObject({ unloaded: 'whisper-base', memory: { worker_exited: true } });
    expect((await app.closeStdin(pid)).code).toBe(0);
  });

  /** Creates a model and an environment whose Python is a worker in JavaScript, packed as an executable for Windows. */
  async function installWorker(home: string): Promise<void> {
    const folder = environmentFolder(
      path.join(home, 'engines'),
      'core',
      readLock(path.join(checkout, 'python-runtime'), 'core'),
    );
    mkdirSync(path.join(folder, 'Scripts'), { recursive: true });
    const python = path.join(folder, 'Scripts', 'python.exe');
    const main = path.join(home, 'worker.cjs');
    const fromCheckout = `module.exports = require('node:module').createRequire(process.env.TEST_PACKAGES)('zeromq');`;
    await build({
      ...{ entryPoints: [path.join(checkout, 'test/fixtures/workers/say-size.mjs')], outfile: main },
      ...{ bundle: true, platform: 'node', format: 'cjs', plugins: [inPlaceOf(/^zeromq$/, fromCheckout)] },
    });
    const sea = path.join(home, 'sea.json');
    const blob = path.join(home, 'worker.blob');
    writeFileSync(sea, JSON.stringify({ main, output: blob, disableExperimentalSEAWarning: true }));
    await execa(await hostNode(), ['--experimental-sea-config', sea]);
    copyFileSync(await nodeOf(target), python);
    const identity = { name: 'worker', description: 'worker', version: '1.0.0', copyright: '' };
    await injectProgram(python, target, blob, identity);
    writeFileSync(path.join(folder, MARKER), JSON.stringify({ packages: {}, sizeBytes: 1, libraryFolders: [] }));

    const model = path.join(home, 'models', 'whisper-base');
    mkdirSync(model, { recursive: true });
    const facts = { id: 'whisper-base', repo: 'a/b', revision: '0'.repeat(40), source: 'hub', installed: 1795478400 };
    writeFileSync(path.join(model, '.asrpro.json'), JSON.stringify({ ...facts, files: [] }));
  }
});

import { openAsBlob } from 'node:fs';
import { rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { execa } from 'execa';
import { expect, onTestFinished, test, vi } from 'vitest';
import { type Exit, type LaunchOptions, launch, type Sidecar } from '../../src/client/index.ts';
import { audio, programBinary as binary } from '../setup/checkout.ts';
import { temporaryHome } from '../setup/home.ts';

const jfk = await openAsBlob(audio('english/jfk.flac'));

async function start(options: LaunchOptions = {}): Promise<Sidecar> {
  const sidecar = await launch({ binary, mock: true, home: temporaryHome(), ...options });
  onTestFinished(async () => void (await sidecar.stop()));
  return sidecar;
}

async function all<T>(states: AsyncIterable<T>): Promise<T[]> {
  const seen: T[] = [];
  for await (const state of states) seen.push(state);
  return seen;
}

test('an app uses the sidecar from its start to its stop', async () => {
  const exits: Exit[] = [];
  const lines: string[] = [];
  const events = { onExit: (exit: Exit) => exits.push(exit), onLog: (line: string) => lines.push(line) };
  // Without `binary`, the client itself knows where the program is.
  const sidecar = await start({ binary: undefined, ...events });
  expect(sidecar.url).toMatch(/^http:\/\/127\.0\.0\.1:\d+$/);
  expect(await sidecar.health()).toMatchObject({ status: 'healthy', current_model: null, version: sidecar.version });
  expect((await sidecar.models()).map(({ id }) => id)).toContain('mock-echo');
  expect(await sidecar.load('mock-echo')).toMatchObject({ status: 'success', model: 'mock-echo' });
  expect(await sidecar.loadedModel()).toMatchObject({ model: 'mock-echo', status: 'loaded' });
  expect((await sidecar.transcribe(jfk, { language: 'en' })).text).toContain('The language is en.');
  expect(await sidecar.unload()).toMatchObject({ unloaded: 'mock-echo', memory: { worker_exited: true } });
  expect((await sidecar.devices()).selected).toEqual({ mock: 'cpu' });
  expect((await sidecar.engines()).map(({ id }) => id)).toEqual(['core', 'nemo', 'cluster']);
  const exit = await sidecar.stop();
  expect(exit).toMatchObject({ reason: 'stopped', code: 0, signal: null });
  expect(exits).toEqual([exit]);
  expect(lines.join()).toContain('stopping');
});

test('an app follows downloads and installations to their end', async () => {
  const sidecar = await start();
  const states = await all(sidecar.download('mock-download', { everyMs: 20 }));
  expect(states[0]).toMatchObject({ status: 'queued', bytes_done: 0 });
  expect(states.at(-1)).toMatchObject({ status: 'installed' });
  const bytes = states.map(({ bytes_done }) => bytes_done);
  expect(bytes).toEqual(bytes.toSorted((a, b) => a - b));
  expect(await sidecar.model('mock-download')).toMatchObject({ downloaded: true, ready: true });
  await sidecar.removeModel('mock-download');
  expect(await sidecar.model('mock-download')).toMatchObject({ downloaded: false });
  expect((await all(sidecar.installEngine('core'))).at(-1)).toMatchObject({ status: 'installed' });

  const abort = new AbortController();
  for await (const { status } of sidecar.download('mock-download', { everyMs: 20, signal: abort.signal })) {
    if (status === 'downloading') abort.abort();
    else expect(['queued', 'cancelled']).toContain(status);
  }
  await expect(all(sidecar.download('mock-download-fails'))).rejects.toMatchObject({ code: 'download_failed' });
});

test('an error of the API has its code, status and text', async () => {
  const sidecar = await start({ apiKey: 'secret' });
  await expect(sidecar.load('none-such')).rejects.toMatchObject({ code: 'model_not_found', status: 404 });
  await expect(sidecar.transcribe(new Blob(['no audio']))).rejects.toMatchObject({ code: 'invalid_file_format' });
  expect((await fetch(`${sidecar.url}/v1/models`)).status).toBe(401);
});

test('the slashes of a hub name are escaped in the path', async () => {
  const sidecar = await start();
  await expect(sidecar.model('openai/none/../such')).rejects.toMatchObject({ code: 'model_not_found' });
});

test('a sidecar that is killed from outside is reported with the reason', async () => {
  const exits: Exit[] = [];
  const sidecar = await start({ onExit: (exit) => exits.push(exit) });
  process.kill(sidecar.pid, 'SIGKILL');
  expect(await sidecar.exited).toMatchObject({ reason: 'killed', signal: 'SIGKILL' });
  expect(exits).toHaveLength(1);
  await expect(sidecar.health()).rejects.toMatchObject({ code: 'unreachable' });
});

test('stop() lets the running request finish, and kills the sidecar after its time limit', async () => {
  const exits: Exit[] = [];
  const sidecar = await start({ onExit: (exit) => exits.push(exit) });
  const hanging = sidecar.transcribe(jfk, { model: 'mock-hang' }).catch((error: Error) => error);
  await vi.waitFor(async () => expect((await sidecar.health()).queue.running).toBe(1), { timeout: 10_000 });
  expect(await sidecar.stop({ seconds: 0.2 })).toMatchObject({
    reason: 'killed',
    message: expect.stringMatching(/time/),
  });
  expect(await hanging).toMatchObject({ code: 'unreachable' });

  const other = await start({ args: ['--mock-pace', '0.05'] });
  const slow = other.transcribe(jfk, { model: 'mock-slow' });
  await vi.waitFor(async () => expect((await other.health()).queue.running).toBe(1), { timeout: 10_000 });
  expect(await other.stop()).toMatchObject({ reason: 'stopped' });
  expect((await slow).text).toContain('This is sentence 10.');
});

test('two sidecars of one app do not disturb each other', async () => {
  const home = temporaryHome();
  const [one, two] = await Promise.all([start({ home, model: 'mock-echo' }), start({ home })]);
  expect(one.url).not.toBe(two.url);
  expect(one.instance).not.toBe(two.instance);
  await two.stop();
  expect((await one.loadedModel()).model).toBe('mock-echo');
});

test('a failed start reports the reason', async () => {
  const home = temporaryHome();
  await expect(launch({ binary: path.join(home, 'none') })).rejects.toMatchObject({ code: 'spawn_failed' });
  await expect(launch({ binary, mock: true, home, model: 'none' })).rejects.toMatchObject({ code: 'model_not_found' });
  const { port } = new URL((await start()).url);
  const taken = launch({ binary, mock: true, home, args: ['--port', port] });
  await expect(taken).rejects.toMatchObject({ code: 'address_in_use', hint: expect.stringContaining('port') });
  await expect(launch({ binary: '/bin/echo', home })).rejects.toMatchObject({ code: 'spawn_failed' });
  await expect(launch({ binary: '/bin/false', home })).rejects.toMatchObject({ code: 'exited' });
  await expect(launch({ binary, mock: true, home, signal: AbortSignal.abort() })).rejects.toMatchObject({
    code: 'aborted',
  });
  await writeFile(path.join(home, 'config.json'), '{"server":{"prot":1}}');
  await expect(launch({ binary, mock: true, home })).rejects.toMatchObject({ code: 'invalid_config' });
  await rm(path.join(home, 'config.json'));
});

test('the API key of the environment is used', async () => {
  const sidecar = await start({ environment: { ...process.env, ASRPRO_SERVER_API_KEY: 'of-the-shell' } });
  expect((await sidecar.models()).length).toBeGreaterThan(0);
});

test('calls do not go through the proxy of the environment', async () => {
  const sidecar = await start();
  const client = new URL('../../src/client/index.ts', import.meta.url).href;
  const program = `
    const { Sidecar } = await import(${JSON.stringify(client)});
    const sidecar = new Sidecar({ url: ${JSON.stringify(sidecar.url)}, apiKey: null });
    process.stdout.write((await sidecar.health()).status);`;
  const environment = { NODE_USE_ENV_PROXY: '1', HTTP_PROXY: 'http://127.0.0.1:9', NO_PROXY: '' };
  const { stdout } = await execa(process.execPath, ['--input-type=module', '-e', program], { env: environment });
  expect(stdout).toBe('healthy');
});

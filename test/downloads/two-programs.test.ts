import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { beforeEach, expect, onTestFinished, test, vi } from 'vitest';
import { resolvePaths } from '../../src/config/paths.ts';
import { configSchema } from '../../src/config/schema.ts';
import { createDownloads } from '../../src/downloads/downloads.ts';
import type { Downloads } from '../../src/downloads/types.ts';
import { createLog } from '../../src/log.ts';
import type { Model } from '../../src/models/model.ts';
import { readInstalled, removeInstalled } from '../../src/models/store.ts';
import { mainProgram } from '../setup/checkout.ts';
import { temporaryHome } from '../setup/home.ts';
import { inPidNamespace } from '../setup/pid-namespace.ts';
import { runCli } from '../setup/run-cli.ts';
import { type FaultHub, startFaultHub } from './fault-hub.ts';

/** Several programs download one model of random bytes into one home. */
const model = 'under-test';
const files = new Map([
  ['config.json', Buffer.from('{"model_type":"whisper"}')],
  ['model.bin', Buffer.alloc(400_000, 'abcdefg')],
]);
let home: string;
let models: string;
let folder: string;

beforeEach(() => {
  home = temporaryHome();
  models = path.join(home, 'models');
  folder = path.join(models, model);
});

async function slowHub(): Promise<FaultHub> {
  const hub = await startFaultHub(files);
  onTestFinished(() => hub[Symbol.asyncDispose]());
  hub.bytesPerSecond = 200_000;
  return hub;
}

function program(hub: Pick<FaultHub, 'url'>): Downloads {
  const custom = [{ id: model, repo: 'org/name' }];
  const downloads = createDownloads({
    config: configSchema.parse({ models: { custom }, download: { endpoint: hub.url } }),
    ...{ paths: resolvePaths({ ASRPRO_HOME: home }), environment: {} },
    backoff: { tries: 1, firstMs: 1, longestMs: 1, stallMs: 5000 },
    log: createLog({ level: 'silent', format: 'json' }),
    library: { find: async (id: string) => ({ id }) as Model } as never,
    pip: () => Promise.reject(new Error('no mirror here')),
  });
  onTestFinished(() => downloads.close());
  return downloads;
}

/** Starts `asrpro pull` in its own pid namespace and returns when it has begun to fetch. */
async function pulling(hub: FaultHub): Promise<ChildProcess> {
  const config = { models: { custom: [{ id: model, repo: 'org/name' }] }, download: { endpoint: hub.url } };
  writeFileSync(path.join(home, 'config.json'), JSON.stringify(config));
  const command = [process.execPath, mainProgram, 'pull', model];
  const [file, ...args] = process.platform === 'linux' ? [...inPidNamespace, ...command] : command;
  const env = { ...process.env, ASRPRO_HOME: home };
  const child = spawn(file!, args, { env, stdio: 'ignore' });
  onTestFinished(() => void child.kill('SIGKILL'));
  await vi.waitFor(() => expect(partials()).not.toEqual([]), { timeout: 20_000 });
  return child;
}

const partials = (): string[] =>
  existsSync(folder) ? readdirSync(folder).filter((name) => name.endsWith('.partial')) : [];

async function last(downloads: Downloads) {
  let status = await downloads.get(model);
  for await (status of downloads.watch(model));
  return status;
}

test('a cancel of a waiting download does not disturb the running one of another program', {
  timeout: 60_000,
}, async () => {
  const hub = await slowHub();
  const child = await pulling(hub);
  const waiting = program(hub);
  expect((await waiting.start(model)).status).toBe('queued');
  await expect(removeInstalled(models, model)).rejects.toMatchObject({ code: 'model_busy', retryAfterSeconds: 10 });
  expect(await waiting.cancel(model, { keep: false })).toMatchObject({ status: 'cancelled', bytesDone: 0 });
  await expect(program(hub).cancel(model, { keep: false })).rejects.toMatchObject({ code: 'model_busy' });
  const closing = program(hub);
  await closing.start(model);
  await closing.close();
  expect(partials()).not.toEqual([]);
  expect(await once(child, 'exit')).toEqual([0, null]);
  expect(readInstalled(models, model)!.files).toHaveLength(2);
  expect(hub.asked.filter(({ file }) => file === 'model.bin')).toHaveLength(1);
  expect(readdirSync(path.join(models, '.claims'))).toEqual([]);
});

test('another program continues the download of a killed process at once', { timeout: 60_000 }, async () => {
  const hub = await slowHub();
  const child = await pulling(hub);
  const next = program(hub);
  await next.start(model);
  child.kill('SIGKILL');
  expect(await last(next)).toMatchObject({ status: 'installed' });
  expect(readdirSync(folder).sort()).toEqual(['.asrpro.json', 'config.json', 'model.bin']);
});

test('an empty claim, as a power failure leaves it, blocks no download', async () => {
  const hub = await slowHub();
  hub.bytesPerSecond = null;
  mkdirSync(path.join(models, '.claims', model), { recursive: true });
  writeFileSync(path.join(models, '.claims', model, '0123456789abcdef'), '');
  const downloads = program(hub);
  await downloads.start(model);
  expect(await last(downloads)).toMatchObject({ status: 'installed' });
});

test('the partial files of failed and of forgotten downloads can be removed', { timeout: 60_000 }, async () => {
  const hub = await slowHub();
  hub.bytesPerSecond = null;
  hub.faults.set('model.bin', [{ kind: 'cut', at: 100_000 }]);
  const downloads = program(hub);
  await downloads.start(model);
  expect((await last(downloads))!.status).toBe('failed');
  // That of the configuration may be there too: the failure of one file ends the download of the other.
  expect(partials()).toContainEqual(expect.stringMatching(/^model\.bin\./));
  writeFileSync(path.join(folder, 'model.bin.joined'), 'of the mirror');
  await expect(program(hub).cancel(model, { keep: true })).rejects.toMatchObject({ code: 'download_not_found' });
  expect(await program(hub).cancel(model, { keep: false })).toMatchObject({ status: 'cancelled', bytesDone: 0 });
  expect(existsSync(folder)).toBe(false);
  await expect(program(hub).cancel(model, { keep: false })).rejects.toMatchObject({ code: 'download_not_found' });
  expect(await downloads.cancel(model, { keep: false })).toMatchObject({ status: 'failed', bytesDone: 0 });
});

test('rm removes partial files, reports that, and keeps files of the user', async () => {
  const custom = { models: { custom: [{ id: model, repo: 'org/name' }] } };
  writeFileSync(path.join(home, 'config.json'), JSON.stringify(custom));
  mkdirSync(folder, { recursive: true });
  writeFileSync(path.join(folder, 'mine.txt'), '');
  expect((await runCli(home, ['rm', model])).code).toBe(5);
  writeFileSync(path.join(folder, 'model.bin.0123456789ab.partial'), '');
  const { code, out } = await runCli(home, ['rm', model]);
  expect({ code, out }).toEqual({ code: 0, out: expect.stringContaining('unfinished download') });
  expect(readdirSync(folder)).toEqual(['mine.txt']);
});

test('a failed download is no longer reported when another program has installed the model', async () => {
  const hub = await startFaultHub(files);
  onTestFinished(() => hub[Symbol.asyncDispose]());
  hub.faults.set('model.bin', [{ kind: 'status', status: 404, headers: {} }]);
  const [first, other] = [program(hub), program(hub)];
  await first.start(model);
  expect(await last(first)).toMatchObject({ status: 'failed' });
  await other.start(model);
  expect(await last(other)).toMatchObject({ status: 'installed' });
  expect(await first.get(model)).toMatchObject({ status: 'installed', error: null });
  await removeInstalled(models, model);
  expect(await other.get(model)).toBeUndefined();
});

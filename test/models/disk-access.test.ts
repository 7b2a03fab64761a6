import fs, { mkdirSync, writeFileSync } from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';
import path from 'node:path';
import { afterAll, beforeAll, beforeEach, expect, onTestFinished, test, vi } from 'vitest';
import { temporaryHome } from '../setup/home.ts';
import { libraryIn, whisper, write } from './library.ts';

/** Records the paths that this process reads, with the call. The calls themselves are the real ones. */
const calls: { call: string; place: string }[] = [];
const names = ['statSync', 'lstatSync', 'readdirSync', 'openSync', 'readFileSync', 'existsSync'] as const;
const originals = Object.fromEntries(names.map((call) => [call, fs[call] as (...args: never[]) => unknown]));
const traced = Object.entries(originals).map(([call, original]) => [
  call,
  (...args: never[]) => {
    calls.push({ call, place: String(args[0]) });
    return original(...args);
  },
]);

function replaceCalls(by: object): void {
  Object.assign(fs, by);
  // Named imports of node:fs see the change only after this call.
  syncBuiltinESMExports();
}

beforeAll(() => replaceCalls(Object.fromEntries(traced)));
afterAll(() => replaceCalls(originals));
beforeEach(() => void calls.splice(0));

/** Repositories of other programs with one model among them. */
function homeWithCache(count: number): string {
  const home = temporaryHome();
  for (let index = 0; index < count; index += 1) {
    const repository = path.join(home, 'hub', `models--foreign--llm-${index}`);
    write(path.join(repository, 'refs'), { main: 'aaaa' });
    write(path.join(repository, 'snapshots', 'aaaa'), {
      'config.json': '{"model_type":"llama"}',
      'a.safetensors': 'x',
    });
  }
  write(path.join(home, 'hub', 'models--someone--fine-tuned', 'snapshots', 'aaaa'), whisper());
  write(path.join(home, 'mine', 'my-own'), whisper());
  write(path.join(home, 'mine', 'other'), whisper());
  return home;
}

/** File times are coarse, so the library does not cache fresh files. These tests make all files a minute old. */
function aMinuteLater(): void {
  vi.useFakeTimers({ toFake: ['Date'], now: Date.now() + 60_000 });
  onTestFinished(() => void vi.useRealTimers());
}

test.each([
  ['whisper-base', 'whisper-base'],
  ['Systran/faster-whisper-base', 'whisper-base'],
  ['whisper-1', 'whisper-base'],
  ['mine', 'mine'],
  ['my-own', 'my-own'],
  ['someone/fine-tuned', 'someone/fine-tuned'],
  ['none-such', undefined],
  ['someone/none-such', undefined],
])('a lookup of %s reads no other model', async (reference, id) => {
  const home = homeWithCache(20);
  const library = libraryIn(home, {
    searchDirectories: [path.join(home, 'mine')],
    custom: [{ id: 'mine', path: path.join(home, 'mine', 'my-own') }],
  });
  calls.splice(0);
  expect((await library.find(reference))?.id).toBe(id);
  const places = calls.map(({ place }) => place);
  expect(places.filter((place) => /foreign|other/.test(place))).toEqual([]);
});

test('a folder that is no model is not read again until it changes', async () => {
  const home = homeWithCache(20);
  aMinuteLater();
  const library = libraryIn(home, { searchDirectories: [path.join(home, 'mine')] });
  const before = await library.list();
  calls.splice(0);
  expect(await library.list()).toEqual(before);
  const below = calls.filter(({ place }) => place.startsWith(home));
  expect(below.filter(({ call }) => ['readdirSync', 'openSync', 'readFileSync'].includes(call))).toEqual([]);
  // A file time is read, so the calls are recorded.
  expect(below).not.toEqual([]);
  write(path.join(home, 'hub', 'models--foreign--llm-7', 'snapshots', 'aaaa'), whisper());
  expect(await library.find('foreign/llm-7')).toMatchObject({ ready: true });
  mkdirSync(path.join(home, 'hub', 'models--foreign--late', 'snapshots', 'aaaa'), { recursive: true });
  write(path.join(home, 'hub', 'models--foreign--late', 'snapshots', 'aaaa'), whisper());
  expect(await library.find('foreign/late')).toMatchObject({ ready: true });
});

test('a config.json that is written later into a known folder is noticed', async () => {
  const home = temporaryHome();
  const files = { 'encoder-model.onnx': 'x', 'decoder_joint-model.onnx': 'x', 'vocab.txt': 'a' };
  const folder = write(path.join(home, 'mine', 'parakeet'), { ...files, 'config.json': '{}' });
  aMinuteLater();
  const library = libraryIn(home, { searchDirectories: [path.join(home, 'mine')] });
  expect(await library.find('parakeet')).toBeUndefined();
  writeFileSync(path.join(folder, 'config.json'), '{"model_type":"nemo-conformer-tdt"}');
  expect(await library.find('parakeet')).toMatchObject({ ready: true });
});

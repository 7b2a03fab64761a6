import { mkdirSync, readdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { expect, test } from 'vitest';
import { temporaryHome } from '../setup/home.ts';
import { libraryIn, whisper, write } from './library.ts';

const tdt = {
  'config.json': '{"model_type":"nemo-conformer-tdt"}',
  'encoder-model.int8.onnx': 'x',
  'decoder_joint-model.int8.onnx': 'x',
  'vocab.txt': 'a 0',
};

/** A repository in the layout of the hub's own client: links in `snapshots` to files in `blobs`. */
function cacheModel(home: string, repo: string, files: Record<string, string>): string {
  const folder = path.join(home, 'hub', `models--${repo.replace('/', '--')}`);
  const commit = 'a'.repeat(40);
  mkdirSync(path.join(folder, 'blobs'), { recursive: true });
  mkdirSync(path.join(folder, 'snapshots', commit), { recursive: true });
  write(path.join(folder, 'refs'), { main: commit });
  for (const [name, content] of Object.entries(files)) {
    writeFileSync(path.join(folder, 'blobs', `blob-${name}`), content);
    symlinkSync(`../../blobs/blob-${name}`, path.join(folder, 'snapshots', commit, name));
  }
  return path.join(folder, 'snapshots', commit);
}

test('the list has the catalogue from the start, with the way to get each model', async () => {
  const rows = await libraryIn(temporaryHome()).list();
  expect(rows.length).toBeGreaterThan(15);
  for (const row of rows) {
    expect(row).toMatchObject({ ready: false, downloaded: false, source: 'catalogue', path: null });
    expect(row.reason).toContain(`asrpro pull ${row.id}`);
  }
  expect(new Set(rows.map(({ id }) => id)).size).toBe(rows.length);
});

test.each([
  ['base', 'whisper-base'],
  ['large-v3-turbo', 'whisper-large-v3-turbo'],
  ['Systran/faster-whisper-base', 'whisper-base'],
  ['whisper-1', 'whisper-base'],
  ['gpt-4o-transcribe', 'whisper-base'],
  ['Whisper-Base', 'whisper-base'],
])('%s is %s', async (name, id) => {
  expect((await libraryIn(temporaryHome()).find(name))?.id).toBe(id);
});

test('folders are recognised by their files', async () => {
  const home = temporaryHome();
  const mine = path.join(home, 'mine');
  write(path.join(mine, 'My Whisper'), whisper());
  write(path.join(mine, 'english'), whisper(true));
  write(path.join(mine, 'parakeet'), tdt);
  write(mine, { 'checkpoint.nemo': 'x' });
  write(path.join(mine, 'holiday pictures'), { 'a.jpg': 'x' });
  const rows = (await libraryIn(home, { searchDirectories: [mine] }).list()).filter(
    ({ source }) => source === 'folder',
  );
  const facts = rows.map(({ id, engine, ready: isReady, quantization, languages }) => [
    ...[id, engine, isReady, quantization, languages?.length ?? null],
  ]);
  expect(facts.sort()).toEqual([
    ['checkpoint', 'nemo', false, null, null],
    ['english', 'faster-whisper', true, null, 1],
    ['my-whisper', 'faster-whisper', true, null, expect.toSatisfy((count) => count > 90)],
    ['parakeet', 'onnx-asr', true, 'int8', null],
  ]);
  expect(rows.find(({ id }) => id === 'checkpoint')!.reason).toContain('asrpro setup nemo');
  expect(rows.find(({ id }) => id === 'my-whisper')!.path).toBe(path.join(mine, 'My Whisper'));
});

test('an incomplete folder is listed with the reason, and is ready as soon as it is complete', async () => {
  const home = temporaryHome();
  const { 'tokenizer.json': tokenizer, ...rest } = whisper();
  const folder = write(path.join(home, 'mine', 'mine'), rest);
  write(path.join(home, 'mine', 'cloned'), { ...whisper(), 'model.bin': 'version https://git-lfs.github.com/spec/v1' });
  write(path.join(home, 'mine', 'half'), {
    'config.json': tdt['config.json'],
    'encoder-model.onnx': 'x',
    'vocab.txt': 'a',
  });
  const library = libraryIn(home, { searchDirectories: [path.join(home, 'mine')] });
  const reasonOf = async (id: string) => (await library.find(id))!.reason;
  expect(await reasonOf('mine')).toContain("'tokenizer.json' is missing");
  expect(await reasonOf('cloned')).toContain('Git LFS pointer');
  expect(await reasonOf('half')).toContain("'decoder_joint-model.onnx' is missing");
  write(folder, { 'tokenizer.json': tokenizer });
  expect(await library.find('mine')).toMatchObject({ ready: true, reason: null });
  rmSync(folder, { recursive: true });
  expect(await library.find('mine')).toBeUndefined();
});

test('a folder whose name is taken gets an id with a number', async () => {
  const home = temporaryHome();
  const [one, two] = ['one', 'two'].map((name) => path.join(home, name));
  for (const folder of [one!, two!]) write(path.join(folder, 'same'), whisper());
  write(path.join(one!, 'whisper-base'), whisper());
  const rows = await libraryIn(home, { searchDirectories: [one, two] }).list();
  const ids = rows.filter(({ source }) => source === 'folder').map(({ id }) => id);
  expect(ids.sort()).toEqual(['same', 'same-2', 'whisper-base-2']);
});

test('models in the Hugging Face cache can be used, and are never changed or removed', async () => {
  const home = temporaryHome();
  const snapshot = cacheModel(home, 'Systran/faster-whisper-base', whisper());
  cacheModel(home, 'someone/fine-tuned', whisper());
  const { 'model.bin': _, ...incomplete } = whisper();
  cacheModel(home, 'Systran/faster-whisper-small', incomplete);
  cacheModel(home, 'someone/text-model', { 'config.json': '{"model_type":"bert"}', 'weights.safetensors': 'x' });
  const before = readdirSync(path.join(home, 'hub'), { recursive: true });
  const library = libraryIn(home);
  expect(await library.find('whisper-base')).toMatchObject({
    ...{ ready: true, downloaded: true, source: 'huggingface-cache', path: snapshot },
  });
  expect(await library.find('whisper-small')).toMatchObject({ downloaded: false, source: 'catalogue' });
  expect(await library.find('someone/fine-tuned')).toMatchObject({ ready: true, engine: 'faster-whisper' });
  expect(await library.find('someone/text-model')).toBeUndefined();
  await expect(library.remove('whisper-base')).rejects.toMatchObject({ code: 'model_not_deletable' });
  expect(readdirSync(path.join(home, 'hub'), { recursive: true })).toEqual(before);
  expect(await libraryIn(home, { useHuggingFaceCache: false }).find('someone/fine-tuned')).toBeUndefined();
});

test('custom models may be a folder or a repository that is not downloaded yet', async () => {
  const home = temporaryHome();
  const folder = write(path.join(home, 'somewhere'), whisper(true));
  const library = libraryIn(home, {
    custom: [
      { id: 'mine', path: folder, name: 'My model' },
      { id: 'wrong', path: folder, engine: 'nemo' },
      { id: 'gone', path: path.join(home, 'nowhere') },
      { id: 'theirs', repo: 'someone/model', languages: ['de'] },
    ],
  });
  expect(await library.find('mine')).toMatchObject({
    ready: true,
    name: 'My model',
    source: 'custom',
    languages: ['en'],
  });
  expect((await library.find('wrong'))!.reason).toContain('Its files are for faster-whisper, not for nemo');
  expect((await library.find('gone'))!.reason).toContain('no speech model');
  expect(await library.find('someone/model')).toMatchObject({ id: 'theirs', ready: false, downloaded: false });
  await expect(library.remove('mine')).rejects.toMatchObject({ code: 'model_not_deletable' });
  await expect(library.remove('theirs')).rejects.toMatchObject({ code: 'model_not_found' });
});

test('a delete of a model that is a link in our folder removes only the link', async () => {
  const home = temporaryHome();
  const files = [{ path: 'model.bin', size: 7, sha256: '0'.repeat(64) }];
  const marker = { id: 'whisper-base', repo: 'a/b', revision: 'main', source: 'hub', installed: 1, files };
  const elsewhere = write(path.join(home, 'elsewhere'), { ...whisper(), '.asrpro.json': JSON.stringify(marker) });
  mkdirSync(path.join(home, 'models'));
  symlinkSync(elsewhere, path.join(home, 'models', 'whisper-base'));
  const before = readdirSync(elsewhere);
  const library = libraryIn(home);
  expect((await library.find('base'))!.ready).toBe(true);
  await library.remove('whisper-base');
  expect((await library.find('base'))!.downloaded).toBe(false);
  expect(readdirSync(elsewhere)).toEqual(before);
});

test('the languages of a custom model have the codes that requests have, however they are spelled', async () => {
  const home = temporaryHome();
  const custom = [{ id: 'mine', path: write(path.join(home, 'mine'), whisper()), languages: ['DE', 'jv'] }];
  expect((await libraryIn(home, { custom }).find('mine'))!.languages).toEqual(['de', 'jw']);
});

import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { expect, test } from 'vitest';
import { AsrproError } from '../../src/errors.ts';
import { temporaryHome } from '../setup/home.ts';
import { libraryIn, whisper, write } from './library.ts';

const damaged = new AsrproError('model_broken', 'The model is damaged: model.bin is cut. Download it again.');

test('a model that an engine found damaged is not ready until one of its files changes', async () => {
  const home = temporaryHome();
  const folder = write(path.join(home, 'mine', 'cut'), { ...whisper(), 'extra.bin': 'x' });
  const library = libraryIn(home, { searchDirectories: [path.join(home, 'mine')] });
  const find = async () => (await library.find('cut'))!;
  library.noteLoad(await find(), damaged);
  const broken = { ready: false, broken: true, downloaded: true, reason: damaged.message };
  expect(await find()).toMatchObject(broken);
  expect((await library.list()).find(({ id }) => id === 'cut')).toMatchObject(broken);
  // The size stays the same, and the list does not read this file.
  writeFileSync(path.join(folder, 'extra.bin'), 'y');
  expect(await find()).toMatchObject({ ready: true, reason: null });
  expect(await find()).not.toHaveProperty('broken');
});

test('a model that was downloaded again counts as new, whichever program downloaded it and however it is linked', async () => {
  const home = temporaryHome();
  const blob = path.join(write(path.join(home, 'blobs'), { one: 'weights' }), 'one');
  const { 'model.bin': _, ...rest } = whisper();
  const snapshot = write(path.join(home, 'hub', 'models--a--b', 'snapshots', 'aaaa'), rest);
  symlinkSync(blob, path.join(snapshot, 'model.bin'));
  const library = libraryIn(home);
  library.noteLoad((await library.find('a/b'))!, damaged);
  expect(await library.find('a/b')).toMatchObject({ ready: false });
  writeFileSync(blob, 'WEIGHTS');
  expect(await library.find('a/b')).toMatchObject({ ready: true });
});

test('a successful load clears the mark, and a load that fails for another reason does not set it', async () => {
  const home = temporaryHome();
  mkdirSync(path.join(home, 'mine'));
  writeFileSync(path.join(home, 'mine', 'one.nemo'), 'x');
  write(path.join(home, 'mine', 'two'), whisper());
  const library = libraryIn(home, { searchDirectories: [path.join(home, 'mine')] });
  const two = (await library.find('two'))!;
  library.noteLoad(two, new AsrproError('out_of_memory', 'Too large.'));
  library.noteLoad(two, new AsrproError('worker_crashed', 'It died.'));
  expect(await library.find('two')).toMatchObject({ ready: true });
  library.noteLoad(two, damaged);
  library.noteLoad((await library.find('one'))!, damaged);
  library.noteLoad(two, null);
  expect(await library.find('two')).toMatchObject({ ready: true });
  expect(await library.find('one')).toMatchObject({ ready: false, broken: true });
});

import { execFileSync } from 'node:child_process';
import { chmodSync, mkdirSync, readdirSync, rmSync, symlinkSync, truncateSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import path from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { temporaryHome } from '../setup/home.ts';
import { libraryIn, warnings, whisper, write } from './library.ts';

const pipe = (place: string) => execFileSync('mkfifo', [place]);
function sparse(file: string, size: number): void {
  writeFileSync(file, '');
  truncateSync(file, size);
}
const rowsFrom = (rows: { id: string; source: string; reason: string | null }[], source: string) =>
  Object.fromEntries(rows.filter((row) => row.source === source).map(({ id, reason }) => [id, reason]));

/** Unreadable entries, with the name of a folder and with that of a checkpoint. */
async function litter(folder: string): Promise<void> {
  for (const end of ['', '.nemo']) {
    symlinkSync(`loop${end}`, path.join(folder, `loop${end}`));
    symlinkSync('nowhere', path.join(folder, `dangling${end}`));
    pipe(path.join(folder, `pipe${end}`));
    const socket = createServer().listen(path.join(folder, `socket${end}`));
    onTestFinished(() => void socket.close());
    writeFileSync(Buffer.concat([Buffer.from(`${folder}/bytes`), Buffer.from([0xff]), Buffer.from(end)]), 'x');
  }
  mkdirSync(path.join(folder, 'unpacked.nemo'));
  mkdirSync(path.join(folder, 'x'.repeat(255)));
  mkdirSync(path.join(folder, 'line\nbreak'));
}

test('no entry of a search directory breaks the list: a bad one is skipped or listed with the reason', async () => {
  const home = temporaryHome();
  const mine = write(path.join(home, 'mine'), {});
  await litter(mine);
  write(path.join(mine, 'good'), whisper());
  const library = libraryIn(home, { searchDirectories: [mine] });
  expect(rowsFrom(await library.list(), 'folder')).toEqual({
    good: null,
    'bytes-': 'The name of one of its files is not valid text: rename that file.',
    dangling: expect.stringContaining("'dangling.nemo' is missing"),
    loop: expect.stringContaining('a link that leads to itself'),
    pipe: expect.stringContaining('a pipe and not a file'),
    socket: expect.stringContaining('a socket and not a file'),
    unpacked: expect.stringContaining('a folder and not a file'),
  });
  expect(await library.find('good')).toMatchObject({ ready: true });
});

test.each<[string, (file: string) => void, string]>([
  ['a folder', (file) => mkdirSync(file), 'it is a folder'],
  ['a pipe', pipe, 'it is a pipe'],
  ['a loop', (file) => symlinkSync('config.json', file), 'leads to itself'],
  ['cut', (file) => writeFileSync(file, '{"model_ty'), 'not the JSON of a model'],
  ['huge', (file) => sparse(file, 100_000_000), 'not the JSON of a model'],
])('a model whose config.json is %s is listed with that reason', async (_kind, make, reason) => {
  const home = temporaryHome();
  const { 'config.json': _, ...rest } = whisper();
  const onnx = { 'encoder-model.onnx': 'x', 'decoder_joint-model.onnx': 'x', 'vocab.txt': 'a' };
  for (const [name, files] of [
    ['whisper', rest],
    ['parakeet', onnx],
  ] as const) {
    make(path.join(write(path.join(home, 'mine', name), files), 'config.json'));
  }
  const library = libraryIn(home, { searchDirectories: [path.join(home, 'mine')] });
  expect(rowsFrom(await library.list(), 'folder')).toEqual({
    parakeet: expect.stringContaining(reason),
    whisper: expect.stringContaining(reason),
  });
});

test('a byte order mark in a file hides no model and no branch', async () => {
  const home = temporaryHome();
  const mark = '\uFEFF';
  const files = { ...whisper(true), 'config.json': `${mark}${whisper(true)['config.json']}` };
  write(path.join(home, 'mine', 'marked'), files);
  const repo = path.join(home, 'hub', 'models--someone--marked');
  write(path.join(repo, 'refs'), { main: `${mark}aaaa\r\n` });
  write(path.join(repo, 'snapshots', 'aaaa'), whisper(true));
  write(path.join(repo, 'snapshots', 'bbbb'), whisper());
  const library = libraryIn(home, { searchDirectories: [path.join(home, 'mine')] });
  expect(await library.find('marked')).toMatchObject({ ready: true, languages: ['en'] });
  expect(await library.find('someone/marked')).toMatchObject({ languages: ['en'] });
});

test('the Hugging Face cache may have any content', async () => {
  const home = temporaryHome();
  const hub = write(path.join(home, 'hub'), { 'version.txt': '1', 'models--a--file': 'x' });
  await litter(hub);
  symlinkSync('models--a--loop', path.join(hub, 'models--a--loop'));
  pipe(path.join(hub, 'models--a--pipe'));
  for (const name of ['models--gpt2', 'models----', 'models--..--..', 'models--a--b c']) {
    write(path.join(hub, name, 'snapshots', 'aaaa'), whisper());
  }
  mkdirSync(path.join(hub, 'models--Systran--faster-whisper-base'));
  symlinkSync('snapshots', path.join(hub, 'models--Systran--faster-whisper-base', 'snapshots'));
  write(path.join(hub, 'models--a--outside', 'snapshots', 'aaaa'), whisper());
  write(path.join(hub, 'models--a--outside', 'refs'), { main: '../../../../mine' });
  write(path.join(home, 'mine'), whisper(true));
  write(path.join(hub, 'models--a--piped', 'snapshots', 'aaaa'), whisper());
  pipe(path.join(write(path.join(hub, 'models--a--piped', 'refs'), {}), 'main'));
  const library = libraryIn(home);
  expect(Object.keys(rowsFrom(await library.list(), 'huggingface-cache')).sort()).toEqual(['a/outside', 'a/piped']);
  expect((await library.find('a/outside'))!.path).toBe(path.join(hub, 'models--a--outside', 'snapshots', 'aaaa'));
  expect(await library.find('base')).toMatchObject({ downloaded: false });
});

/** Root can read every file, so a test that runs as root asks as another user. */
async function asSomebodyElse(action: () => Promise<void>): Promise<void> {
  if (process.geteuid?.() !== 0) return await action();
  process.seteuid?.(54321);
  try {
    await action();
  } finally {
    process.seteuid?.(0);
  }
}

test('an unreadable entry does not break the list, and is listed if it is a model', async () => {
  const home = temporaryHome();
  chmodSync(home, 0o755);
  const mine = path.join(home, 'mine');
  write(path.join(mine, 'good'), whisper());
  const hub = write(path.join(home, 'hub', 'models--a--b', 'snapshots', 'aaaa'), whisper());
  const places = [
    path.join(write(path.join(mine, 'config'), whisper()), 'config.json'),
    path.join(write(path.join(mine, 'weights'), whisper()), 'model.bin'),
    path.join(write(mine, { 'checkpoint.nemo': 'x' }), 'checkpoint.nemo'),
    write(path.join(mine, 'closed'), {}),
    path.join(write(path.join(home, 'models', 'whisper-base'), { '.asrpro.json': '{}' }), '.asrpro.json'),
    path.join(hub, 'config.json'),
    write(path.join(home, 'closed'), {}),
  ];
  for (const place of places) chmodSync(place, 0);
  try {
    await asSomebodyElse(async () => {
      const library = libraryIn(home, { searchDirectories: [mine, path.join(home, 'closed')] });
      const denied = expect.stringContaining('permission denied');
      expect(rowsFrom(await library.list(), 'folder')).toEqual({
        ...{ good: null, config: denied, weights: denied, checkpoint: denied },
      });
      expect(await library.find('a/b')).toMatchObject({ ready: false, reason: denied });
      expect(await library.find('whisper-base')).toMatchObject({ downloaded: false, reason: denied });
      expect(library.problems()).toEqual([{ folder: path.join(home, 'closed'), reason: denied }]);
    });
  } finally {
    for (const place of places) chmodSync(place, 0o700);
  }
});

test('the models directory may have any content, and a failed installation there has the reason', async () => {
  const home = temporaryHome();
  const models = write(path.join(home, 'models'), { 'whisper-small': 'a file' });
  symlinkSync('nowhere', path.join(models, 'whisper-tiny'));
  symlinkSync('whisper-medium', path.join(models, 'whisper-medium'));
  pipe(path.join(write(path.join(models, 'whisper-base'), {}), '.asrpro.json'));
  write(path.join(models, 'whisper-large-v3'), { '.asrpro.json': '{"id":1}' });
  const library = libraryIn(home);
  const reasonOf = async (id: string) => (await library.find(id))!.reason;
  expect(await reasonOf('whisper-small')).toContain('it is not a folder');
  expect(await reasonOf('whisper-tiny')).toContain('a link that leads nowhere');
  expect(await reasonOf('whisper-medium')).toContain('a link that leads to itself');
  expect(await reasonOf('whisper-base')).toContain('a pipe and not a file');
  expect(await reasonOf('whisper-large-v3')).toContain('It is not downloaded');
  expect(await library.list()).toHaveLength((await libraryIn(temporaryHome()).list()).length);
});

test('a models directory that is no folder is reported, and a missing one is not', () => {
  const home = temporaryHome();
  symlinkSync('nowhere', path.join(home, 'link'));
  writeFileSync(path.join(home, 'file'), '');
  for (const [directory, reason] of [
    ['link', 'a link that leads nowhere'],
    ['file', 'it is not a folder'],
  ] as const) {
    const folder = path.join(home, directory);
    expect(libraryIn(home, { directory: folder }).problems()).toEqual([
      { folder, reason: expect.stringContaining(reason) },
    ]);
  }
  expect(libraryIn(home, { directory: path.join(home, 'new') }).problems()).toEqual([]);
});

test('a folder that cannot be searched is logged once, and again after a change', async () => {
  const home = temporaryHome();
  const [gone, file, good] = ['gone', 'file', 'good'].map((name) => path.join(home, name)) as [string, string, string];
  writeFileSync(file, '');
  write(path.join(good, 'mine'), whisper());
  const library = libraryIn(home, { searchDirectories: [gone, file, good] });
  expect(warnings).toHaveLength(2);
  await library.list();
  expect(await library.find('mine')).toMatchObject({ ready: true });
  expect(warnings).toHaveLength(2);
  expect(library.problems()).toEqual([
    { folder: gone, reason: expect.stringContaining('no such file or folder') },
    { folder: file, reason: expect.stringContaining('it is not a folder') },
  ]);
  write(path.join(gone, 'late'), whisper());
  rmSync(good, { recursive: true });
  expect(await library.find('late')).toMatchObject({ ready: true });
  expect(await library.find('mine')).toBeUndefined();
  expect(library.problems().map(({ folder }) => folder)).toEqual([file, good]);
  expect(readdirSync(home)).not.toContain('hub');
});

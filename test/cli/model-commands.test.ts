import { mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { expect, test } from 'vitest';
import { temporaryHome } from '../setup/home.ts';
import { runCli } from '../setup/run-cli.ts';

/** A model in our own store, as small as one can be. */
function homeWithModel(): string {
  const home = temporaryHome();
  const folder = path.join(home, 'models', 'whisper-tiny.en');
  mkdirSync(folder, { recursive: true });
  writeFileSync(path.join(folder, 'model.bin'), 'x');
  const files = [{ path: 'model.bin', size: 1, sha256: '0'.repeat(64) }];
  const marker = { id: 'whisper-tiny.en', repo: 'a/b', revision: 'main', source: 'hub', installed: 1, files };
  writeFileSync(path.join(folder, '.asrpro.json'), JSON.stringify(marker));
  return home;
}

test('models is a table, and a list for programs', async () => {
  const home = temporaryHome();
  const { out } = await runCli(home, ['models']);
  const [header, ...rows] = out.split('\n');
  expect(header).toMatch(/^MODEL +STATE +SIZE +ENGINE +LANGUAGES$/);
  expect(rows.find((row) => row.startsWith('whisper-base '))).toMatch(/- +\d+ MB +faster-whisper +\d+ languages/);
  const { data } = JSON.parse((await runCli(home, ['models', '--json'])).out);
  expect(data).toHaveLength(rows.length);
  expect(data[0]).toMatchObject({ object: 'model', ready: false, downloaded: false });
});

test('show tells what a model is and how to get it', async () => {
  const home = temporaryHome();
  const { out } = await runCli(home, ['show', 'base']);
  expect(out).toMatch(/^whisper-base\n/);
  expect(out).toContain('asrpro pull whisper-base');
  expect(out).toContain('Systran/faster-whisper-base');
  const unknown = await runCli(home, ['show', 'none-such']);
  expect(unknown).toMatchObject({ code: 5, out: '' });
});

test('rm deletes without asking where nobody can answer, and exactly once', async () => {
  const home = homeWithModel();
  expect(await runCli(home, ['rm', 'whisper-tiny.en'])).toMatchObject({
    code: 0,
    out: 'The model whisper-tiny.en is deleted.',
  });
  expect((await runCli(home, ['rm', 'whisper-tiny.en'])).code).toBe(5);
});

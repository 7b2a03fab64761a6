import { mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { expect, test } from 'vitest';
import { startFaultHub } from '../downloads/fault-hub.ts';
import { temporaryHome } from '../setup/home.ts';
import { runCli } from '../setup/run-cli.ts';

/** Writes the smallest possible model into the models directory. */
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

test('models prints a table, and with --json a list', async () => {
  const home = temporaryHome();
  const { out } = await runCli(home, ['models']);
  const [header, ...rows] = out.split('\n');
  expect(header).toMatch(/^MODEL +STATE +SIZE +ENGINE +LANGUAGES$/);
  expect(rows.find((row) => row.startsWith('whisper-base '))).toMatch(/- +\d+ MB +faster-whisper +\d+ languages/);
  const { data } = JSON.parse((await runCli(home, ['models', '--json'])).out);
  expect(data).toHaveLength(rows.length);
  expect(data[0]).toMatchObject({ object: 'model', ready: false, downloaded: false });
});

test('show describes a model and the way to get it', async () => {
  const home = temporaryHome();
  const { out } = await runCli(home, ['show', 'base']);
  expect(out).toMatch(/^whisper-base\n/);
  expect(out).toContain('asrpro pull whisper-base');
  expect(out).toContain('Systran/faster-whisper-base');
  const unknown = await runCli(home, ['show', 'none-such']);
  expect(unknown).toMatchObject({ code: 5, out: '' });
});

test('rm deletes without a question where stdin is no terminal, and a second rm fails', async () => {
  const home = homeWithModel();
  expect(await runCli(home, ['rm', 'whisper-tiny.en'])).toMatchObject({
    code: 0,
    out: 'The model whisper-tiny.en is deleted.',
  });
  expect((await runCli(home, ['rm', 'whisper-tiny.en'])).code).toBe(5);
});

test('pull says that what it has installed cannot be used, and why', async () => {
  await using hub = await startFaultHub(new Map([['config.json', Buffer.from('{}')]]));
  const environment = {
    ASRPRO_DOWNLOAD_ENDPOINT: hub.url,
    ASRPRO_MODELS_CUSTOM: JSON.stringify([{ id: 'no-speech', repo: 'org/name' }]),
  };
  const { code, out, err } = await runCli(temporaryHome(), ['pull', 'no-speech'], environment);
  expect({ code, out }).toEqual({ code: 0, out: 'The model no-speech is installed.' });
  expect(err).toMatch(/It cannot be used yet: There is no speech model at its path/);
});

import { execFileSync } from 'node:child_process';
import { chmodSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { expect, test } from 'vitest';
import { lastCrash, selectedModel, setConfigValue } from '../../src/config/store.ts';
import { temporaryHome } from '../setup/home.ts';

const newFile = () => path.join(temporaryHome(), 'config.json');
const read = (file: string) => JSON.parse(readFileSync(file, 'utf8'));

test('stores a value and keeps the others', async () => {
  const file = newFile();
  writeFileSync(file, '{"$schema":"x","server":{"maxQueue":3}}');
  await setConfigValue(file, 'server.port', '9000');
  await setConfigValue(file, 'log.level', 'debug');
  expect(read(file)).toEqual({ $schema: 'x', server: { maxQueue: 3, port: 9000 }, log: { level: 'debug' } });
});

test('stores a setting of a model whose id has dots', async () => {
  const file = newFile();
  await setConfigValue(file, 'models.settings.whisper-tiny.en.beamSize', '2');
  await setConfigValue(file, 'models.settings.whisper-tiny.en.language', 'en');
  expect(read(file)).toEqual({ models: { settings: { 'whisper-tiny.en': { beamSize: 2, language: 'en' } } } });
});

test.each([
  ['server.port', 'abc', /a whole number from 0 to 65535/],
  ['server.prot', '1', /did you mean server.port/],
  ['models.settings.a.speed', '1', /models\.settings\.a\.speed/],
  ['server.port.x', '1', /no key server\.port\.x/],
])('refuses %s=%s and leaves the file alone', async (key, value, message) => {
  const file = newFile();
  writeFileSync(file, '{"server":{"port":1}}');
  await expect(setConfigValue(file, key, value)).rejects.toThrow(message);
  expect(readFileSync(file, 'utf8')).toBe('{"server":{"port":1}}');
});

test('never overwrites a broken file', async () => {
  const file = newFile();
  writeFileSync(file, '{"server"');
  await expect(setConfigValue(file, 'server.port', '1')).rejects.toThrow(/not valid JSON/);
  expect(readFileSync(file, 'utf8')).toBe('{"server"');
});

test('leaves no temporary file beside it', async () => {
  const file = newFile();
  await setConfigValue(file, 'server.port', '1');
  expect(readdirSync(path.dirname(file))).toEqual(['config.json']);
});

test('the selected model survives a restart; a damaged state file counts as none', async () => {
  const data = temporaryHome();
  expect(await selectedModel({ data }).get()).toBeNull();
  await selectedModel({ data }).set('whisper-base');
  expect(await selectedModel({ data }).get()).toBe('whisper-base');
  await selectedModel({ data }).set(null);
  expect(await selectedModel({ data }).get()).toBeNull();
  writeFileSync(path.join(data, 'state.json'), '{"sel');
  expect(await selectedModel({ data }).get()).toBeNull();
});

const modeOf = (place: string) => (statSync(place).mode & 0o777).toString(8);

test('files that may hold an API key, and their folders, are readable only by their owner', async () => {
  const folder = path.join(temporaryHome(), 'config', 'asrpro');
  const file = path.join(folder, 'config.json');
  await setConfigValue(file, 'server.apiKey', 'secret');
  await selectedModel({ data: folder }).set('whisper-base');
  expect([folder, path.dirname(folder), file, path.join(folder, 'state.json')].map(modeOf)).toEqual([
    '700',
    '700',
    '600',
    '600',
  ]);
  chmodSync(file, 0o644);
  await setConfigValue(file, 'server.port', '1');
  expect(modeOf(file)).toBe('600');
});

test('a file with a byte order mark can be changed', async () => {
  const file = newFile();
  writeFileSync(file, '\uFEFF{"$schema":"x"}');
  await setConfigValue(file, 'server.port', '1');
  expect(read(file)).toEqual({ $schema: 'x', server: { port: 1 } });
});

test('an error names the file that cannot be written', async () => {
  const file = path.join(newFile(), 'config.json');
  writeFileSync(path.dirname(file), 'a file where the folder should be');
  await expect(setConfigValue(file, 'server.port', '1')).rejects.toMatchObject({
    code: 'folder_unusable',
    message: expect.stringContaining(`The configuration file ${file} cannot be written`),
  });
});

test('a state file that cannot be read counts as absent and does not block', async () => {
  for (const make of [(file: string) => mkdirSync(file), (file: string) => execFileSync('mkfifo', [file])]) {
    const data = temporaryHome();
    make(path.join(data, 'state.json'));
    expect(await selectedModel({ data }).get()).toBeNull();
    expect(await lastCrash({ data }).get()).toBeNull();
    await expect(selectedModel({ data }).set('whisper-base')).rejects.toThrow();
  }
});

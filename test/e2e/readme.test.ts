import { readFileSync } from 'node:fs';
import path from 'node:path';
import { execa } from 'execa';
import { expect, test } from 'vitest';
import { call, wordsOf } from '../setup/api.ts';
import { checkout, jfkWords } from '../setup/checkout.ts';
import { gatewayForAll } from '../setup/gateway.ts';
import { pythonWithTools } from '../setup/python-tools.ts';

const pages = ['README.md', 'docs/using.md'].map((page) => readFileSync(path.join(checkout, page), 'utf8')).join('\n');

const gateway = gatewayForAll();

/** Code blocks of README and docs/using.md in one language, with the address of the gateway under test. */
function examples(language: string): string[] {
  const blocks = [...pages.matchAll(/```(\w+)\n(.*?)```/gs)];
  return blocks
    .filter(([, name, code]) => name === language && code!.includes('127.0.0.1:8277'))
    .map(([, , code]) => code!.replaceAll('http://127.0.0.1:8277', gateway().url));
}

test('the Python example works with the official package', async () => {
  const [example] = examples('python');
  const { stdout } = await execa(await pythonWithTools(), ['-'], { input: example!, cwd: checkout });
  expectModelsAndSpeech(stdout);
});

test('the JavaScript example works with the official package', async () => {
  const [example] = examples('js');
  const { stdout } = await execa(process.execPath, ['--input-type=module', '-'], { input: example!, cwd: checkout });
  expectModelsAndSpeech(stdout);
});

// The last of these lines delete a model, so this test comes last.
test('the curl lines work when pasted', async () => {
  const [first, transcription, settings, download] = examples('sh');
  for (const line of [first, transcription]) {
    const { stdout } = await execa(line!, { shell: true, cwd: checkout });
    expect(wordsOf(JSON.parse(stdout).text)).toBe(jfkWords);
  }
  const answers = await execa(settings!.replace('\n', ' && echo && '), { shell: true, cwd: checkout });
  const [loaded, unloaded] = answers.stdout.split('\n').map((line) => JSON.parse(line));
  expect(loaded).toMatchObject({ status: 'success', model: 'whisper-base' });
  expect(unloaded).toMatchObject({ status: 'success', unloaded: 'whisper-base' });
  expect((await call(gateway().url, '/health')).json.worker.pid).toBeNull();
  const jobs = await execa(download!.trim().replaceAll('\n', ' && echo && '), { shell: true, cwd: checkout });
  const [started, watched, deleted] = jobs.stdout.split('\n').map((line) => JSON.parse(line));
  for (const job of [started, watched]) expect(job).toMatchObject({ model: 'whisper-tiny.en', status: 'installed' });
  expect(deleted).toEqual({ id: 'whisper-tiny.en', object: 'model', deleted: true });
});

function expectModelsAndSpeech(output: string): void {
  const lines = output.split('\n');
  expect(lines.slice(0, -1).join()).toContain('whisper-tiny.en');
  expect(wordsOf(lines.at(-1)!)).toBe(jfkWords);
}

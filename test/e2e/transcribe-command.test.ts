import { expect, test } from 'vitest';
import { wordsOf } from '../setup/api.ts';
import { audio, jfkWords } from '../setup/checkout.ts';
import { temporaryHome } from '../setup/home.ts';
import { runFiles } from '../setup/leftovers.ts';
import { runCli } from '../setup/run-cli.ts';

const jfk = audio('english/jfk.flac');
const model = 'whisper-tiny.en';

test('stdout has the text of a file and nothing else', async () => {
  const home = temporaryHome({ installed: true });
  const { code, out } = await runCli(home, ['transcribe', jfk, '--model', model]);
  expect(wordsOf(out)).toBe(jfkWords);
  expect(out).not.toContain('\n');
  expect(code).toBe(0);
  expect(runFiles(home)).toEqual([]);
});

test('--words and --format give what the API gives', async () => {
  const home = temporaryHome({ installed: true });
  const { out } = await runCli(home, ['transcribe', jfk, '--model', model, '--words']);
  const transcript = JSON.parse(out);
  expect(transcript).toMatchObject({ task: 'transcribe', language: 'english', duration: 11 });
  expect(wordsOf(transcript.words.map((one: { word: string }) => one.word).join(' '))).toBe(wordsOf(transcript.text));
});

test('bad files are reported by name, and the others are transcribed', async () => {
  const home = temporaryHome({ installed: true });
  const bad = audio('corrupt/made/html_404.mp3');
  const files = [jfk, bad, audio('nowhere.wav'), jfk];
  const { code, out, err } = await runCli(home, ['transcribe', '--model', model, ...files]);
  expect(out.split('\n').map(wordsOf)).toEqual([jfkWords, jfkWords]);
  expect(err).toContain(`${bad}: `);
  expect(err).toContain('nowhere.wav');
  expect(err).toContain('2 of 4 files');
  expect(code).toBe(1);
});

test.each([
  [[], /Usage: asrpro transcribe/],
  [[jfk, '--format', 'srt'], /one of text, json, verbose_json/],
  [[jfk, '--format', 'text', '--words'], /--words needs verbose_json/],
])('wrong use %j is exit code 2', async (args, message) => {
  const { code, out, err } = await runCli(temporaryHome(), ['transcribe', ...args]);
  expect({ code, out }).toEqual({ code: 2, out: '' });
  expect(err).toMatch(message);
});

test('a model that does not exist gives exit code 5', async () => {
  const { code, err } = await runCli(temporaryHome({ installed: true }), ['transcribe', jfk, '--model', 'none-such']);
  expect(code).toBe(5);
  expect(err).toContain('none-such');
});

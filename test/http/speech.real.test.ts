import { readFileSync } from 'node:fs';
import path from 'node:path';
import { expect, test } from 'vitest';
import { type Answer, call, post, transcribe, wordsOf } from '../setup/api.ts';
import { audio, jfkWords } from '../setup/checkout.ts';
import { corpus, type Recording } from '../setup/corpus.ts';
import { gatewayForAll } from '../setup/gateway.ts';
import { greedy } from '../setup/greedy.ts';
import { wav } from '../setup/wav.ts';
import { ask, expectError, type Part } from './multipart.ts';

const gateway = gatewayForAll({ environment: greedy });

const jfk = audio('english/jfk.flac');
const english = { model: 'whisper-tiny.en' };
const sound = (value: Buffer): Part => ({ name: 'file', value, fileName: 'a.wav' });
const workerPid = async () => (await call(gateway().url, '/health')).json.worker.pid;

/** Sends all recordings, eight at a time, so that the worker decodes full batches. */
async function transcribeAll(
  recordings: readonly Recording[],
  judge: (recording: Recording, answer: Answer) => void,
): Promise<void> {
  const left = [...recordings];
  const client = async (): Promise<void> => {
    for (let next = left.shift(); next !== undefined; next = left.shift())
      judge(next, await transcribe(gateway().url, next.file, english));
  };
  await Promise.all(Array.from({ length: 8 }, client));
}

test('19, 77: every format gives its text, every damaged file a text or a 400, and the worker survives', async () => {
  await post(gateway().url, '/v1/settings/model', { model_id: 'whisper-tiny.en' });
  const pid = await workerPid();
  const wrong: string[] = [];
  await transcribeAll(corpus('formats'), ({ file, reference }, answer) => {
    const name = path.basename(file);
    const headerless = name.endsWith('.raw');
    if (headerless && answer.json.error?.code === 'invalid_file_format') return;
    const shared = overlap(answer.json?.text ?? '', reference);
    if (answer.status !== 200 || shared < 0.6) wrong.push(`${name}: ${answer.status} ${shared} ${answer.text}`);
  });
  await transcribeAll(
    corpus('corrupt'),
    ({ file, ffmpeg_exit: exit, ffmpeg_decoded_s_max120: seconds, notes }, answer) => {
      const name = path.basename(file);
      const mayBeText = exit === '0' && Number(seconds) >= 0.1;
      const mustBeText = mayBeText && Number(seconds) > 1 && !/rate|claims/.test(notes!);
      if (answer.status !== 200 && answer.status !== 400) wrong.push(`${name}: ${answer.status} ${answer.text}`);
      if (mustBeText && answer.status !== 200) wrong.push(`${name}: refused, ${answer.text}`);
      if (answer.status === 400)
        expectError(answer, 400, 'file', expect.stringMatching(/^(invalid_file_format|audio_too_)/) as never);
      if (/expect empty text|no speech/.test(notes!) && answer.json.text !== '')
        wrong.push(`${name}: heard ${answer.text}`);
    },
  );
  expect(wrong).toEqual([]);
  expect(await workerPid()).toBe(pid);
}, 400_000);

test('68, 102: an English-only model refuses other languages and translations', async () => {
  expectError(
    await ask(gateway().url, ['model=whisper-tiny.en', 'language=de'], jfkPart()),
    400,
    'language',
    'unsupported_language',
  );
  expectError(
    await ask(gateway().url, ['model=whisper-tiny.en'], jfkPart(), 'translations'),
    400,
    'model',
    'unsupported_value',
  );
});

test('76: silence is an empty text and no segments', async () => {
  const quiet = await ask(
    gateway().url,
    ['model=whisper-tiny.en', 'response_format=verbose_json'],
    sound(wav(3, { silent: true })),
  );
  expect(quiet.json).toMatchObject({ text: '', segments: [], duration: 3 });
});

test('77: WAV files with impossible headers are refused', async () => {
  for (const claims of [{ rate: 0 }, { channels: 0 }, { channels: 1000 }]) {
    const answer = await ask(gateway().url, ['model=whisper-tiny.en'], sound(wav(1, { claims })));
    expectError(answer, 400, 'file', 'invalid_file_format');
  }
});

test('22, 42, 46, 50: words and times match the speech, and log-probabilities are refused', async () => {
  const fields = { ...english, response_format: 'verbose_json', 'timestamp_granularities[]': 'word' };
  const { json } = await transcribe(gateway().url, jfk, fields);
  expect(Math.abs(json.duration - 11)).toBeLessThan(0.1);
  expect(wordsOf(json.words.map(({ word }: { word: string }) => word).join(' '))).toBe(jfkWords);
  const starts = json.words.map(({ start }: { start: number }) => start);
  expect(starts).toEqual([...starts].sort((a, b) => a - b));
  expect(json.words.at(-1).end).toBeLessThanOrEqual(11.1);
  const refused = await ask(gateway().url, ['model=whisper-tiny.en', 'include[]=logprobs'], jfkPart());
  expectError(refused, 400, 'include', 'unsupported_value');
});

test('37, 41, 99, 100: German is recognised, named and translated', async () => {
  const german = corpus('multilingual').find(({ language, file }) => language === 'de' && file.endsWith('.ogg'))!;
  const fields = { model: 'whisper-base', response_format: 'verbose_json' };
  const { url } = gateway();
  // All at once, so that the worker decodes them in one batch.
  const [{ json }, auto, translated] = await Promise.all([
    transcribe(url, german.file, fields),
    transcribe(url, german.file, { ...fields, language: 'auto' }),
    ask(url, ['model=whisper-base', 'response_format=verbose_json'], part(german.file), 'translations'),
  ]);
  expect(json.language).toBe('german');
  expect(overlap(json.text, german.reference!)).toBeGreaterThan(0.5);
  expect(auto.json.language).toBe('german');
  expect(translated.json).toMatchObject({ task: 'translate', language: 'english' });
  expect(translated.json.text).toMatch(/\b(the|and|was|were|of)\b/);
});

function part(file: string): Part {
  return { name: 'file', value: readFileSync(file), fileName: path.basename(file) };
}
function jfkPart(): Part {
  return part(jfk);
}

/** Share of the words of the reference that are in the text. */
function overlap(text: string, reference: string): number {
  const heard = new Set(wordsOf(text).split(' '));
  const wanted = wordsOf(reference).split(' ');
  return wanted.filter((word) => heard.has(word)).length / wanted.length;
}

import { expect, test } from 'vitest';
import { transcribe } from '../setup/api.ts';
import { corpus } from '../setup/corpus.ts';
import { directAnswers } from '../setup/direct-answers.ts';
import { startGateway } from '../setup/gateway.ts';

test('whisper-base answers over HTTP what faster-whisper answers directly', { timeout: 900_000 }, async () => {
  const files = corpus('librispeech').map(({ file }) => file);
  const direct = await directAnswers('whisper-base', files);
  const { url } = await startGateway({ args: ['--model', 'whisper-base'] });
  const answers: Record<string, string> = {};
  const left = [...files];
  const client = async (): Promise<void> => {
    for (let file = left.shift(); file !== undefined; file = left.shift()) {
      const answer = await transcribe(url, file);
      expect(answer.status, `${file}: ${answer.text}`).toBe(200);
      answers[file] = answer.json.text;
    }
  };
  await Promise.all([client(), client(), client()]);

  const certain = files.filter((file) => direct[file]!.temperature === 0);
  const texts = (from: (file: string) => string | undefined) => certain.map((file) => `${file}: ${from(file)}`);
  expect(texts((file) => answers[file])).toEqual(texts((file) => direct[file]!.text));
  expect(Object.values(answers).filter((text) => text === '')).toEqual([]);
  expect(certain.length).toBeGreaterThan(0.95 * files.length);
});

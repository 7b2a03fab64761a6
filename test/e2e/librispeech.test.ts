import path from 'node:path';
import { execa } from 'execa';
import { expect, test } from 'vitest';
import { transcribe } from '../setup/api.ts';
import { checkout } from '../setup/checkout.ts';
import { corpus } from '../setup/corpus.ts';
import { directAnswers } from '../setup/direct-answers.ts';
import { startGateway } from '../setup/gateway.ts';
import { pythonWithTools } from '../setup/python-tools.ts';

test('whisper-base makes no more errors over HTTP than faster-whisper makes directly', {
  timeout: 900_000,
}, async () => {
  const spoken = corpus('librispeech');
  const files = spoken.map(({ file }) => file);
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

  const errors = async (from: (file: string) => string): Promise<number> => {
    const pairs = spoken.map(({ file, reference }) => ({ reference, hypothesis: from(file) }));
    const script = path.join(checkout, 'bench', 'word_error_rate.py');
    const { stdout } = await execa(await pythonWithTools(), [script], { input: JSON.stringify(pairs) });
    const [, wrong, missing, added] = /: (\d+) wrong, (\d+) missing, (\d+) too many/.exec(stdout)!;
    return Number(wrong) + Number(missing) + Number(added);
  };
  expect(Object.values(answers).filter((text) => text === '')).toEqual([]);
  // A few more are chance: half of the files differ in small things, in both directions.
  const theirs = await errors((file) => direct[file]!.text);
  expect(await errors((file) => answers[file]!)).toBeLessThanOrEqual(theirs + 0.03 * theirs);
});

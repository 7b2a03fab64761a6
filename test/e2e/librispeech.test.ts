import path from 'node:path';
import { execa } from 'execa';
import { expect, test } from 'vitest';
import { transcribe } from '../setup/api.ts';
import { checkout } from '../setup/checkout.ts';
import { corpus } from '../setup/corpus.ts';
import { directAnswers } from '../setup/direct-answers.ts';
import { startGateway } from '../setup/gateway.ts';
import { pythonWithTools } from '../setup/python-tools.ts';

/** The smallest model: what a request loses on its way through the gateway does not depend on the weights. */
const MODEL = 'whisper-tiny.en';
/** So many requests at once let the worker decode in full batches. */
const CLIENTS = 8;

test('a model makes no more word errors over HTTP than faster-whisper makes in direct calls', {
  timeout: 900_000,
}, async () => {
  const spoken = corpus('librispeech');
  const direct = await directAnswers(
    MODEL,
    spoken.map(({ file }) => file),
  );
  const { url } = await startGateway({ args: ['--model', MODEL] });
  const answers: string[] = [];
  const left = [...spoken.entries()];
  const client = async (): Promise<void> => {
    for (let next = left.shift(); next !== undefined; next = left.shift()) {
      const [index, { file }] = next;
      const answer = await transcribe(url, file);
      expect(answer.status, `${file}: ${answer.text}`).toBe(200);
      answers[index] = answer.json.text;
    }
  };
  await Promise.all(Array.from({ length: CLIENTS }, client));

  const errors = async (texts: readonly string[]): Promise<number> => {
    const pairs = spoken.map(({ reference }, index) => ({ reference, hypothesis: texts[index] }));
    const script = path.join(checkout, 'bench', 'word_error_rate.py');
    const { stdout } = await execa(await pythonWithTools(), [script], { input: JSON.stringify(pairs) });
    const [, wrong, missing, added] = /: (\d+) wrong, (\d+) missing, (\d+) too many/.exec(stdout)!;
    return Number(wrong) + Number(missing) + Number(added);
  };
  expect(answers.filter((text) => text === '')).toEqual([]);
  // Half of the texts differ in details, in both directions, so a few more errors are chance.
  const theirs = await errors(direct);
  expect(await errors(answers)).toBeLessThanOrEqual(theirs + 0.03 * theirs);
});

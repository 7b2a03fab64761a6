import { PassThrough } from 'node:stream';
import { expect, test } from 'vitest';
import { confirm } from '../../src/cli/confirm.ts';

/** Types keys at a question on a terminal. */
async function answerTo(keys: string, signal = new AbortController().signal): Promise<boolean> {
  const input = new PassThrough();
  const output = Object.assign(new PassThrough(), { isTTY: true });
  const answer = confirm('Delete it? [y/N] ', { input, output, signal });
  input.write(keys);
  return await answer;
}

test.each([
  ['y\r', true],
  ['YES\r', true],
  ['n\r', false],
  ['\r', false],
  ['yy\r', false],
])('%j confirms: %s', async (keys, expected) => {
  expect(await answerTo(keys)).toBe(expected);
});

test.each(['\x03', '\x04'])('%j ends the command with a sentence and not with a stack trace', async (keys) => {
  await expect(answerTo(keys)).rejects.toMatchObject({ code: 'cancelled', message: expect.stringMatching(/nothing/) });
});

test('a signal ends the question too', async () => {
  await expect(answerTo('', AbortSignal.abort())).rejects.toMatchObject({ code: 'cancelled' });
});

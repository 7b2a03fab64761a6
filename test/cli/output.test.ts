import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { openSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { expect, onTestFinished, test } from 'vitest';
import { call } from '../setup/api.ts';
import { mainProgram } from '../setup/checkout.ts';
import { temporaryHome } from '../setup/home.ts';

const noisy = ['serve', '--mock', '--port', '0', '--log-level', 'trace'];
/** The gateway logs the address of each request. 300 of them are 500 KB, and a pipe holds 64 to 200 KiB. */
const long = '/health?'.padEnd(1500, 'x');
const REQUESTS = 300;

function start(args: string[], stdout: 'pipe' | number, stderr: 'pipe' | number) {
  const child = spawn(process.execPath, [mainProgram, ...args], {
    env: { ...process.env, ASRPRO_HOME: temporaryHome() },
    stdio: ['ignore', stdout, stderr],
  });
  onTestFinished(() => void child.kill('SIGKILL'));
  return child;
}

test.each(['a pipe that nobody reads', 'a full disk'])(
  'a log on %s neither blocks nor ends the gateway',
  async (kind) => {
    const child = start(noisy, 'pipe', kind === 'a full disk' ? openSync('/dev/full', 'w') : 'pipe');
    const [line] = await once(createInterface({ input: child.stdout! }), 'line');
    const { url } = JSON.parse(String(line));
    for (let count = 0; count < REQUESTS; count += 50) {
      const answers = await Promise.all(Array.from({ length: 50 }, () => call(url, long)));
      expect(answers.every(({ status }) => status === 200)).toBe(true);
    }
    child.kill('SIGTERM');
    expect(await once(child, 'exit')).toEqual([0, null]);
  },
);

test('a slow reader of the log gets every line whole', async () => {
  const child = start(noisy, 'pipe', 'pipe');
  const [line] = await once(createInterface({ input: child.stdout! }), 'line');
  const { url } = JSON.parse(String(line));
  for (let count = 0; count < REQUESTS; count += 50) {
    await Promise.all(Array.from({ length: 50 }, () => call(url, long)));
  }
  const lines: string[] = [];
  createInterface({ input: child.stderr! }).on('line', (text) => lines.push(text));
  child.kill('SIGTERM');
  await once(child, 'close');
  const records = lines.map((text) => (text.startsWith('{') ? JSON.parse(text).msg : text));
  expect(records.filter((text) => text === `GET ${long}`)).toHaveLength(REQUESTS);
});

test('a result that cannot be written to a full disk is an error of one sentence', async () => {
  const child = start(['models'], openSync('/dev/full', 'w'), 'pipe');
  let err = '';
  child.stderr!.on('data', (chunk) => (err += chunk));
  expect(await once(child, 'close')).toEqual([1, null]);
  expect(err).toBe('asrpro: The output cannot be written: the disk is full (ENOSPC).\n');
});

import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { checkout } from './setup/checkout.ts';

const closing = JSON.stringify(path.join(checkout, 'src/closing.ts'));
let folder: string;
beforeEach(() => {
  folder = mkdtempSync(path.join(os.tmpdir(), 'asrpro-closing-'));
});
afterEach(() => rmSync(folder, { recursive: true }));

/** Runs a process that closes rooms as app.ts does, one of them the promise `room`, and returns how it ended. */
async function ended(room: string): Promise<unknown[]> {
  const program = `
    import { open } from 'node:fs/promises';
    import { allClosed, endProcessLater } from ${closing};
    const log = { warn() {} };
    const quick = { name: 'quick', closed: Promise.resolve(), seconds: 5 };
    const bad = { name: 'bad', closed: Promise.reject(new Error('no')), seconds: 5 };
    const room = { name: 'room', closed: ${room}, seconds: 0.2 };
    if (!(await allClosed([quick, bad, room], log))) endProcessLater(0.2);
    process.exitCode = 7;`;
  const child = spawn(process.execPath, ['--input-type=module', '-e', program], {
    stdio: ['ignore', 'inherit', 'inherit'],
  });
  return await once(child, 'exit');
}

test('a room whose thread is blocked by a disk does not keep the process alive', async () => {
  const pipe = path.join(folder, 'pipe');
  execFileSync('mkfifo', [pipe]);
  // Opening a named pipe for reading blocks in the kernel until a writer opens it.
  expect(await ended(`open(${JSON.stringify(pipe)}, 'r')`)).toEqual([null, 'SIGKILL']);
});

test('a room that never closes does not keep the process alive, and a process that ends in time is not killed', async () => {
  expect(await ended('new Promise(() => setInterval(() => undefined, 1e6))')).toEqual([null, 'SIGKILL']);
  expect(await ended('new Promise(() => undefined)')).toEqual([7, null]);
  expect(await ended('Promise.resolve()')).toEqual([7, null]);
});

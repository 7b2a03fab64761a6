import { mkdtempSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { createLog } from '../../src/log.ts';
import { createRunDirectory, type RunDirectory } from '../../src/wire/run-directory.ts';
import { createProcessStarter } from '../../src/worker/process.ts';

/** Starts this program as a worker, with a part of the run directory replaced. */
async function start(file: string, changed: Partial<RunDirectory> = {}) {
  const root = mkdtempSync(path.join(os.tmpdir(), 'asrpro-test-'));
  const run = createRunDirectory(root);
  onTestFinished(async () => {
    // The claim would create the folder again.
    await run.claimed;
    run.remove();
    rmSync(root, { recursive: true });
  });
  const log = createLog({ level: 'silent', format: 'json' });
  return await createProcessStarter({
    log,
    run: { ...run, ...changed },
    command: async () => ({ file, args: [], env: {} }),
  })('onnx-asr', 1);
}

test.each([
  ['/no-such-folder/python', /could not be started: no such file or folder \(ENOENT\)/],
  ['/etc', /could not be started: permission denied \(EACCES\)/],
])('the error says why the system cannot run %s', async (file, message) => {
  await expect(start(file)).rejects.toMatchObject({
    code: 'worker_start_failed',
    message: expect.stringMatching(message),
    hint: expect.stringContaining('--reinstall'),
  });
});

test('a socket that cannot be opened is no bug of asrpro', async () => {
  const nowhere = { socketAddress: () => '/dev/null/worker.sock' };
  await expect(start(process.execPath, nowhere)).rejects.toMatchObject({
    code: 'worker_start_failed',
    message: expect.stringMatching(/^The socket for the worker cannot be opened: .*\(\w+\)/),
  });
});

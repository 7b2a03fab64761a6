import { expect, test, vi } from 'vitest';
import { resolvePaths } from '../../src/config/paths.ts';
import { lastCrash } from '../../src/config/store.ts';
import { call, transcribe, wordsOf } from '../setup/api.ts';
import { audio, jfkWords } from '../setup/checkout.ts';
import { startGateway } from '../setup/gateway.ts';
import { temporaryHome } from '../setup/home.ts';
import { runFiles } from '../setup/leftovers.ts';

const jfk = audio('english/jfk.flac');
const args = ['--model', 'whisper-tiny.en'];

/** Resolves when the engine works on a job. */
async function jobRuns(url: string): Promise<void> {
  await vi.waitFor(async () => expect((await call(url, '/health')).json.queue.running).toBe(1), {
    timeout: 60_000,
    interval: 10,
  });
}

test('two seconds after a kill of the gateway during a transcription no process is left', async () => {
  const home = temporaryHome({ installed: true });
  const gateway = await startGateway({ home, args });
  expect(gateway.processes().length).toBeGreaterThan(1);
  const pending = transcribe(gateway.url, jfk).catch((error: Error) => error);
  await jobRuns(gateway.url);
  await gateway.stop('SIGKILL');
  await vi.waitFor(() => expect(gateway.processes()).toEqual([]), { timeout: 2000, interval: 20 });
  expect(await pending).toBeInstanceOf(Error);

  const next = await startGateway({ home, mock: true });
  expect(runFiles(home).filter((file) => file.startsWith(`${gateway.pid}-`))).toEqual([]);
  await next.stop();
});

test('a kill of the worker leaves no request without an answer, and doctor reports the crash', async () => {
  const { url, home } = await startGateway({ args });
  const { worker } = (await call(url, '/health')).json;
  const pending = transcribe(url, jfk);
  await jobRuns(url);
  process.kill(worker.pid, 'SIGKILL');
  const answer = await pending;
  if (answer.status !== 200) {
    expect(answer.status).toBe(500);
    expect(answer.json.error).toMatchObject({ type: 'server_error', code: 'worker_crashed' });
  }
  expect(wordsOf((await transcribe(url, jfk)).json.text)).toBe(jfkWords);
  const after = (await call(url, '/health')).json.worker;
  expect(after.pid).not.toBe(worker.pid);
  expect(after.restarts).toBeGreaterThan(0);
  expect((await lastCrash(resolvePaths({ ASRPRO_HOME: home })).get())!.words).toContain('SIGKILL');
});

test('the first SIGTERM lets the running request finish, and the exit code is 0', async () => {
  const gateway = await startGateway({ args });
  const pending = transcribe(gateway.url, jfk);
  await jobRuns(gateway.url);
  const ended = gateway.stop('SIGTERM');
  expect(wordsOf((await pending).json.text)).toBe(jfkWords);
  expect(await ended).toEqual({ code: 0, signal: null });
});

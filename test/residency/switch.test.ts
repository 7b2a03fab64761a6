import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { groupLives, modelNamed, type Stage, stage } from './stage.ts';

/** Switches of the model: the prepared worker, and the state after a failure. */
const [a, b, c] = [modelNamed('a'), modelNamed('b'), modelNamed('c', 'nemo')];
let current: Stage;
let folder: string;
const on = (...args: Parameters<typeof stage>): Stage => {
  current = stage(...args);
  return current;
};
const signal = (): string => path.join(folder, 'now');
const tell = (): void => writeFileSync(signal(), '');
const alive = (): number[] => current.pids().filter(groupLives);
const when = (fact: () => void): Promise<void> => vi.waitFor(fact, { timeout: 10_000, interval: 2 });

beforeEach(() => {
  folder = mkdtempSync(path.join(os.tmpdir(), 'asrpro-signal-'));
});
afterEach(async () => {
  await current[Symbol.asyncDispose]();
  rmSync(folder, { recursive: true });
});

/** Starts a job of `a` and a client that waits for `c`, for which a worker is prepared. */
async function withPreparedWorker(): Promise<{ client: AbortController; running: Promise<string>; working: number }> {
  const { text, worker, residency } = current;
  const running = text(a, { prompt: signal() });
  await when(() => expect(residency.health().queue.running).toBe(1));
  const working = worker().pid!;
  const client = new AbortController();
  text(c, {}, { signal: client.signal }).catch(() => undefined);
  await when(() => expect(alive()).toHaveLength(2));
  return { client, running, working };
}

it('prepares the next worker while a job runs, and reports the working one', async () => {
  const { worker, residency } = on('until-told');
  const { running, working } = await withPreparedWorker();
  expect(worker()).toMatchObject({ pid: working, generation: 1, state: 'ready' });
  tell();
  expect(await running).toBe('a');
  await when(() => expect(residency.status()).toMatchObject({ model: 'c', status: 'loaded' }));
  expect(alive()).toEqual([worker().pid]);
});

it('ends the prepared worker when the client that needs it disconnects', async () => {
  on('until-told');
  const { client, running, working } = await withPreparedWorker();
  client.abort();
  await when(() => expect(alive()).toEqual([working]));
  tell();
  expect(await running).toBe('a');
});

it('leaves no process after an unload, not even a prepared one', async () => {
  const { residency } = on('until-told');
  const { client, running } = await withPreparedWorker();
  const unloaded = residency.unload();
  client.abort();
  tell();
  expect(await running).toBe('a');
  expect(await unloaded).toMatchObject({ unloaded: 'a' });
  expect(alive()).toEqual([]);
});

it('retries a prepared worker that failed in the background', async () => {
  const { text, residency } = on('until-told', { programs: { nemo: 'crash-at-second-start' } });
  const running = text(a, { prompt: signal() });
  await when(() => expect(residency.health().queue.running).toBe(1));
  const waiting = text(c);
  await when(() => expect(residency.health().worker.lastError).toContain('Worker 2'));
  tell();
  expect(await running).toBe('a');
  expect(await waiting).toBe('hello');
});

it('keeps the loaded model when the worker for the next model does not start', async () => {
  const { residency, text, worker } = on('until-told', { programs: { nemo: 'crash-at-start' } });
  await residency.load(a);
  const { pid } = worker();
  await expect(residency.load(c)).rejects.toMatchObject({ code: 'worker_start_failed' });
  await expect(text(c)).rejects.toMatchObject({ code: 'worker_start_failed' });
  expect(residency.status()).toMatchObject({ model: 'a', status: 'loaded' });
  expect(worker().pid).toBe(pid);
});

it('lets an engine work while another one keeps crashing at start', async () => {
  const { text } = on('until-told', { programs: { nemo: 'crash-at-start' } });
  for (let count = 0; count < 5; count += 1)
    await expect(text(c)).rejects.toMatchObject({ code: 'worker_start_failed' });
  await expect(text(c)).rejects.toMatchObject({ code: 'model_busy' });
  expect(await text(a)).toBe('a');
});

it('never loads two models, also while a failed switch is undone', async () => {
  const { residency, text, worker } = on('say-neighbours');
  await residency.load(a);
  const failed = expect(text(modelNamed('heavy'))).rejects.toMatchObject({ code: 'worker_crashed' });
  // Two attempts of `heavy`, and the load of the previous model.
  await when(() => expect(worker().generation).toBe(4));
  expect(await text(b)).toBe('0');
  await failed;
  expect(alive()).toEqual([worker().pid]);
});

it('reports which model is loaded after a failed switch, and why the other one is not', async () => {
  const broken: string[] = [];
  const { residency } = on('model-is-broken', { onLoadFailed: ({ id }, { code }) => broken.push(`${id} ${code}`) });
  await residency.load(a);
  await expect(residency.load(modelNamed('broken'))).rejects.toMatchObject({
    code: 'model_broken',
    message: "The file is damaged. The model 'a' is loaded again.",
  });
  expect(residency.status()).toMatchObject({ model: 'a', status: 'loaded' });
  expect(broken).toEqual(['broken model_broken']);
});

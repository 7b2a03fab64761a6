import { afterEach, expect, it, vi } from 'vitest';
import { groupLives, modelNamed, type Stage, stage } from './stage.ts';

/** Unload and close: what they leave behind, what they report, and how long they take. */
const a = modelNamed('a');
let current: Stage;
const on = (...args: Parameters<typeof stage>): Stage => {
  current = stage(...args);
  return current;
};
const when = (fact: () => void): Promise<void> => vi.waitFor(fact, { timeout: 10_000 });
const isRunning = (): Promise<void> => when(() => expect(current.residency.health().queue.running).toBe(1));
afterEach(async () => await current[Symbol.asyncDispose]());

async function seconds(work: Promise<unknown>): Promise<number> {
  const begin = performance.now();
  await work;
  return (performance.now() - begin) / 1000;
}

it('an unload reports the unloaded model although its worker had to be killed', async () => {
  const { residency, text } = on('hold-the-interpreter', { drainSeconds: 0.1, patience: { cancel: 0.1 } });
  const job = expect(text(a)).rejects.toMatchObject({ code: 'model_unloaded' });
  await isRunning();
  const { unloaded, memory } = await residency.unload();
  await job;
  expect(unloaded).toBe('a');
  expect(memory.beforeBytes).toBeGreaterThan(1_000_000);
  expect(memory.returnedBytes).toBeGreaterThan(1_000_000);
  expect(memory.workerExited).toBe(true);
  expect(memory.exitSeconds).toBeGreaterThan(0);
});

it('an unload reports the model whose worker crashed during the unload', async () => {
  const { residency, text, worker } = on('hold-the-interpreter');
  const job = expect(text(a)).rejects.toMatchObject({ code: 'shutting_down' });
  await isRunning();
  const unloading = residency.unload();
  process.kill(worker().pid!, 'SIGKILL');
  const { unloaded, memory } = await unloading;
  expect(unloaded).toBe('a');
  expect(memory.beforeBytes).toBeGreaterThan(1_000_000);
  // The job is run a second time, because the crash was not its fault.
  await isRunning();
  await residency.close(0);
  await job;
});

it('an unload does not count memory as returned that a process left by the worker still holds', async () => {
  const { residency, text } = on('leave-grandchild');
  const grandchild = Number(await text(a));
  try {
    const { memory } = await residency.unload();
    expect(memory.returnedBytes).toBeGreaterThan(1_000_000);
    expect(memory.returnedBytes).toBeLessThan(memory.beforeBytes - 1_000_000);
  } finally {
    process.kill(grandchild, 'SIGKILL');
  }
});

it('a worker that cannot be killed is reported in time, and no model is loaded beside it', async () => {
  let release = (): void => undefined;
  const { residency, text, worker } = on('ignore-sigterm', {
    stopSeconds: 0.1,
    patience: { kill: 0.2 },
    // Behaves like a process inside a driver: signals arrive only when the driver returns.
    disguise: (handle) => {
      release = () => handle.signal('SIGKILL');
      return { ...handle, signal: () => undefined };
    },
  });
  await residency.load(a);
  const { pid } = worker();
  await expect(residency.unload()).rejects.toMatchObject({ code: 'worker_stuck', retryAfterSeconds: 60 });
  expect(worker()).toMatchObject({ state: 'failed', pid, lastError: 'Worker 1 was killed and does not end.' });
  await expect(residency.load(modelNamed('b'))).rejects.toMatchObject({ code: 'worker_stuck' });
  await expect(text(a)).rejects.toMatchObject({ code: 'worker_stuck' });
  release();
  await when(() => expect(groupLives(pid!)).toBe(false));
  expect(await text(a)).toBe('hello');
  const last = release;
  const closing = residency.close(0.1);
  expect(await seconds(closing)).toBeLessThan(10);
  last();
  await when(() => expect(groupLives(current.pids().at(-1)!)).toBe(false));
});

it('a job beside one that does not stop may finish before the worker is ended', async () => {
  const { residency, text, worker } = on('side-by-side', { patience: { cancel: 0.02 } });
  await residency.load(a);
  const client = new AbortController();
  const gone = expect(text(a, { prompt: 'deaf' }, { signal: client.signal })).rejects.toMatchObject({
    code: 'client_closed',
  });
  const neighbour = text(a, {}, { stream: true });
  await when(() => expect(residency.health().queue.running).toBe(2));
  client.abort();
  await gone;
  expect((await neighbour).split(' ')).toHaveLength(20);
  await when(() => expect(worker()).toMatchObject({ state: 'stopped', pid: null, lastError: null }));
});

it('a close during a crash of the worker does not wait for a new worker', async () => {
  const { residency, text, worker } = on('hold-the-interpreter');
  const job = expect(text(a)).rejects.toMatchObject({ code: 'shutting_down' });
  await isRunning();
  const closing = residency.close(20);
  process.kill(worker().pid!, 'SIGKILL');
  expect(await seconds(closing)).toBeLessThan(15);
  await job;
});

it('a close ends an endless load and a worker that ignores every message when its time limit is over', async () => {
  const { residency } = on('never-loaded');
  const load = expect(residency.load(a)).rejects.toMatchObject({ code: 'shutting_down' });
  await when(() => expect(residency.status().status).toBe('loading'));
  expect(await seconds(residency.close(0.5))).toBeLessThan(10);
  await load;
});

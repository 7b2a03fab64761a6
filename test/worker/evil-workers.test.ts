import { rmSync } from 'node:fs';
import { PassThrough } from 'node:stream';
import pino from 'pino';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { drainOutput } from '../../src/worker/output.ts';
import { groupLives, modelNamed, type Stage, stage } from '../residency/stage.ts';

const light = modelNamed('light');
let current: Stage | null = null;
const on = (...args: Parameters<typeof stage>): Stage => {
  current = stage(...args);
  return current;
};
afterEach(async () => {
  await current?.[Symbol.asyncDispose]();
  current = null;
});

describe('a worker', () => {
  it('that works answers, is unloaded, and its process has ended when the unload is answered', async () => {
    const { residency, worker, text } = on('obedient');
    expect(await text(light, { prompt: 'hello there' })).toBe('hello there');
    const pid = worker().pid!;
    const report = await residency.unload();
    expect(groupLives(pid)).toBe(false);
    expect(report.unloaded).toBe('light');
    expect(report.memory.workerExited).toBe(true);
    expect(report.memory.beforeBytes).toBeGreaterThan(10_000_000);
    expect(report.memory.returnedBytes).toBeGreaterThan(0.9 * report.memory.beforeBytes);
    expect(residency.status().status).toBe('none');
  });

  it('that crashes at start fails the request at once, with its last output', async () => {
    const { text, worker } = on('crash-at-start');
    await expect(text(light)).rejects.toMatchObject({
      code: 'worker_start_failed',
      message: expect.stringContaining('cannot import name resonance from dream'),
    });
    expect(worker()).toMatchObject({ state: 'crashed', pid: null });
    expect(worker().lastError).toContain('exit code 3');
  });

  it('that crashes at every start is not started again for a while', async () => {
    const { text, worker } = on('crash-at-start');
    for (let count = 0; count < 5; count += 1) {
      await expect(text(light)).rejects.toMatchObject({ code: 'worker_start_failed' });
    }
    await expect(text(light)).rejects.toMatchObject({ code: 'model_busy', retryAfterSeconds: expect.any(Number) });
    expect(worker().state).toBe('failed');
  });

  it('that is never ready is ended after the time limit', async () => {
    const { text } = on('never-ready', { timeouts: { hello: 0.3 } });
    await expect(text(light)).rejects.toMatchObject({ code: 'worker_start_failed' });
  });

  it.each(['wrong-version', 'wrong-token'])('with the %s is refused', async (fixture) => {
    await expect(on(fixture).text(light)).rejects.toMatchObject({ code: 'worker_start_failed' });
  });

  it('starts although its run directory was removed while no worker ran', async () => {
    const { residency, text, runFolder } = on('obedient');
    expect(await text(light, { prompt: 'before' })).toBe('before');
    await residency.unload();
    rmSync(runFolder, { recursive: true });
    expect(await text(light, { prompt: 'after' })).toBe('after');
  });

  it('that never ends its line does not fill the memory of the gateway, and its last words are kept', async () => {
    const parts: number[] = [];
    const log = pino({ level: 'debug' }, { write: (line) => void parts.push(JSON.parse(line).output.length) });
    const stream = new PassThrough();
    const output = drainOutput([stream], log);
    for (let count = 0; count < 100; count += 1) stream.write('x'.repeat(64 * 1024));
    stream.write(' last words');
    await vi.waitFor(() => expect(parts.length).toBeGreaterThan(50));
    expect(output.lastWords()).toMatch(/^x+$/);
    stream.end();
    await vi.waitFor(() => expect(output.lastWords()).toMatch(/ last words$/));
  });

  it('that floods its output is not blocked by it', async () => {
    expect(await on('flood-output').text(light)).toBe('hello');
  });

  it('that exits in every job fails that job after one retry', async () => {
    const { text, worker } = on('exit-in-job');
    await expect(text(light)).rejects.toMatchObject({ code: 'worker_crashed' });
    expect(worker().generation).toBe(2);
  });

  it('that exits in its first job is replaced, and the client gets the text', async () => {
    const { text, worker } = on('exit-in-first-job');
    expect(await text(light)).toBe('second try');
    expect(worker()).toMatchObject({ generation: 2, restarts: 1, state: 'ready' });
  });

  it('that exits after a segment was sent to the client gets no retry', async () => {
    const { text, worker } = on('hang-after-segment');
    // Killed when the segment has arrived: a worker that exits by itself may end before its message is delivered.
    const onSegment = () => process.kill(worker().pid!, 'SIGKILL');
    await expect(text(light, {}, { stream: true, onSegment })).rejects.toMatchObject({ code: 'worker_crashed' });
    expect(worker().generation).toBe(1);
  });

  it('with a child process is ended together with the child', async () => {
    const { residency, text } = on('fork-grandchild');
    const grandchild = Number(await text(light));
    expect(() => process.kill(grandchild, 0)).not.toThrow();
    await residency.unload();
    await vi.waitFor(() => expect(() => process.kill(grandchild, 0)).toThrow(), { timeout: 20_000 });
  });

  it('that hangs in a job is ended after the time limit', async () => {
    const { residency, text, worker } = on('hold-the-interpreter', { timeouts: { job: () => 0.5 } });
    await expect(text(light)).rejects.toMatchObject({ code: 'worker_unresponsive' });
    await vi.waitFor(() => expect(worker().pid).toBeNull());
    expect(residency.status().status).toBe('none');
  });

  it('that ignores a cancel is ended, and its model is loaded again only when needed', async () => {
    const { residency, worker, text } = on('hold-the-interpreter', { timeouts: { cancel: 0.3 } });
    const client = new AbortController();
    const answer = text(light, {}, { signal: client.signal });
    await vi.waitFor(() => expect(residency.health().queue.running).toBe(1), { timeout: 10_000 });
    client.abort();
    await expect(answer).rejects.toMatchObject({ code: 'client_closed' });
    await vi.waitFor(() => expect(worker().pid).toBeNull());
    expect(worker()).toMatchObject({ generation: 1, state: 'stopped' });
    expect(residency.health().queue).toMatchObject({ running: 0, waiting: 0 });
  });

  it('that sends garbage is ended, and the job fails with a typed error', async () => {
    await expect(on('send-garbage').text(light)).rejects.toMatchObject({ code: 'worker_crashed' });
  });

  it('that answers twice does not change the next answer', async () => {
    const { text, worker } = on('answer-twice');
    expect(await text(light, { prompt: 'one' })).toBe('one');
    expect(await text(light, { prompt: 'two' })).toBe('two');
    expect(worker().generation).toBe(1);
  });

  it('that answers a cancelled job late does not answer the next job with it', async () => {
    const { residency, text } = on('answer-late', { timeouts: { cancel: 10 } });
    const client = new AbortController();
    const first = text(light, { prompt: 'first' }, { signal: client.signal });
    await vi.waitFor(() => expect(residency.health().queue.running).toBe(1), { timeout: 10_000 });
    client.abort();
    await expect(first).rejects.toMatchObject({ code: 'client_closed' });
    expect(await text(light, { prompt: 'second' })).toBe('second');
  });

  it('that runs out of memory fails the job with out_of_memory', async () => {
    const { text, worker } = on('out-of-memory');
    await expect(text(light)).rejects.toMatchObject({ code: 'out_of_memory' });
    expect(worker().lastError).toContain('out of memory');
  });

  it.each([
    ['obedient', 'message'],
    ['ignore-shutdown', 'SIGTERM'],
    ['ignore-sigterm', 'SIGKILL'],
  ])('of the kind %s ends at the step %s of the kill escalation', async (fixture, step) => {
    const worker = await on(fixture).startWorker();
    const stop = await worker.escalate([
      { step: 'message', seconds: fixture === 'obedient' ? 20 : 0.2 },
      { step: 'SIGTERM', seconds: fixture === 'ignore-shutdown' ? 20 : 0.2 },
      { step: 'SIGKILL', seconds: 20 },
    ]);
    expect(stop.step).toBe(step);
    expect(stop.exit?.endedBy).toBe('us');
    expect(worker.state).toBe('stopped');
  });

  it('that crashes three times while it loads a model gets the model refused, until a load names it', async () => {
    const { residency, worker, text } = on('crash-on-load');
    const heavy = modelNamed('heavy');
    await expect(text(heavy)).rejects.toMatchObject({ code: 'worker_crashed' });
    await expect(text(heavy)).rejects.toMatchObject({ code: 'worker_crashed' });
    const generations = worker().generation;
    await expect(text(heavy)).rejects.toMatchObject({
      code: 'model_load_failed',
      message: expect.stringContaining('heavy'),
    });
    expect(worker().generation).toBe(generations);
    await expect(residency.load(heavy)).rejects.toMatchObject({ code: 'worker_crashed' });
    expect(worker().generation).toBeGreaterThan(generations);
    expect(await text(light)).toBe('hello');
  });

  it('that crashes while it loads the next model gets the previous model loaded again', async () => {
    const { residency, text } = on('crash-on-load');
    await residency.load(light);
    await expect(residency.load(modelNamed('heavy'))).rejects.toMatchObject({
      code: 'worker_crashed',
      message: expect.stringContaining("'light' is loaded again"),
    });
    expect(residency.status()).toMatchObject({ model: 'light', status: 'loaded' });
    expect(await text(light)).toBe('hello');
  });
});

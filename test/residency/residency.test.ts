import { afterEach, describe, expect, it, vi } from 'vitest';
import { modelNamed, type Stage, stage } from './stage.ts';

const [a, b] = [modelNamed('a'), modelNamed('b')];
let current: Stage | null = null;
const on = (...args: Parameters<typeof stage>): Stage => {
  current = stage(...args);
  return current;
};
afterEach(async () => {
  await current?.[Symbol.asyncDispose]();
  current = null;
});

describe('the resident model', () => {
  it('is loaded and replaced on demand, and each request gets the model that it names', async () => {
    const { residency, worker, text } = on('say-model');
    const answers = await Promise.all([text(a), text(b), text(a), text(a), text(b)]);
    expect(answers).toEqual(['a', 'b', 'a', 'a', 'b']);
    expect(residency.status()).toMatchObject({ model: 'b', status: 'loaded' });
    expect(worker().generation).toBe(4);
  });

  it('is never in memory with another: the old process has ended before the next one reads its weights', async () => {
    const { residency, text } = on('say-neighbours');
    expect(await text(a)).toBe('0');
    expect(await text(b)).toBe('0');
    await residency.load(a);
    expect(await text(a)).toBe('0');
  });

  it('is reported with the previous one', async () => {
    const { residency } = on('obedient');
    expect(await residency.load(a)).toMatchObject({ model: 'a', previous: null, device: 'cpu', computeType: 'int8' });
    expect(await residency.load(b)).toMatchObject({ model: 'b', previous: 'a' });
    expect(await residency.load(b)).toMatchObject({ model: 'b', previous: 'b' });
  });

  it('may be unloaded when no model is loaded', async () => {
    const { residency } = on('obedient');
    expect(await residency.unload()).toMatchObject({ unloaded: null });
  });

  it('is unloaded although a job runs longer than the drain limit, and the error of the job says so', async () => {
    const { residency, text } = on('hold-the-interpreter', { drainSeconds: 0.2, patience: { cancel: 0.2 } });
    const answer = text(a);
    const rejected = expect(answer).rejects.toMatchObject({ code: 'model_unloaded' });
    await vi.waitFor(() => expect(residency.health().queue.running).toBe(1), { timeout: 10_000 });
    await residency.unload();
    await rejected;
    expect(residency.status().status).toBe('none');
  });

  it('is unloaded before its files are deleted, and is not loaded again during the delete', async () => {
    const { residency, text } = on('obedient');
    await residency.load(a);
    let asked: Promise<string> | null = null;
    await residency.whileUnloaded('a', async () => {
      expect(residency.status().status).toBe('none');
      asked = text(a);
      expect(residency.status().status).toBe('none');
    });
    expect(await asked).toBe('hello');
  });

  it('stays when a model that is not ready should be loaded', async () => {
    const { residency } = on('obedient');
    await residency.load(a);
    const missing = { ...b, ready: false, downloaded: false, reason: 'not downloaded.' };
    await expect(residency.load(missing)).rejects.toMatchObject({
      code: 'model_not_found',
      message: expect.stringContaining('not downloaded'),
    });
    expect(residency.status()).toMatchObject({ model: 'a', status: 'loaded' });
  });
});

describe('the queue', () => {
  it('refuses a request at once when it is full, with the seconds to wait', () => {
    const { residency } = on('obedient', { maxQueue: 2 });
    const places = [1, 2, 3].map(() => residency.reserve());
    expect(() => residency.reserve()).toThrow(
      expect.objectContaining({ code: 'queue_full', retryAfterSeconds: expect.any(Number) }),
    );
    for (const place of places) place.release();
    places[0]!.release();
    expect(residency.health().queue).toEqual({ running: 0, waiting: 0, limit: 2 });
  });

  it('ends the wait of a request after queueSeconds', async () => {
    const { residency, text } = on('hold-the-interpreter', { queueSeconds: 0.3, patience: { cancel: 0.2 } });
    // The model is loaded first, because a process takes longer to start than the limit of the queue.
    await residency.load(a);
    const client = new AbortController();
    const running = text(a, {}, { signal: client.signal }).catch(() => undefined);
    await vi.waitFor(() => expect(residency.health().queue.running).toBe(1), { timeout: 10_000 });
    await expect(text(a)).rejects.toMatchObject({ code: 'queue_timeout', retryAfterSeconds: expect.any(Number) });
    expect(residency.health().queue).toMatchObject({ running: 1, waiting: 0 });
    client.abort();
    await running;
  });

  it('drops a request whose client has disconnected', async () => {
    const { residency, text } = on('hold-the-interpreter', { patience: { cancel: 0.2 } });
    const clients = [new AbortController(), new AbortController()];
    const running = text(a, {}, { signal: clients[0]!.signal }).catch(() => undefined);
    await vi.waitFor(() => expect(residency.health().queue.running).toBe(1), { timeout: 10_000 });
    const waiting = text(a, {}, { signal: clients[1]!.signal });
    await vi.waitFor(() => expect(residency.health().queue.waiting).toBe(1));
    clients[1]!.abort();
    await expect(waiting).rejects.toMatchObject({ code: 'client_closed' });
    expect(residency.health().queue).toMatchObject({ running: 1, waiting: 0 });
    clients[0]!.abort();
    await running;
  });

  it('also ends the wait of a load for long jobs', async () => {
    const { residency, text } = on('hold-the-interpreter', { queueSeconds: 0.3, patience: { cancel: 0.2 } });
    // The model is loaded first, because a process takes longer to start than the limit of the queue.
    await residency.load(a);
    const client = new AbortController();
    const running = text(a, {}, { signal: client.signal }).catch(() => undefined);
    await vi.waitFor(() => expect(residency.health().queue.running).toBe(1), { timeout: 10_000 });
    await expect(residency.load(b)).rejects.toMatchObject({ code: 'model_busy' });
    expect(residency.status()).toMatchObject({ model: 'a' });
    client.abort();
    await running;
  });

  it('fails all waiting requests when the server stops, and the running job gets the drain time', async () => {
    const { residency, text } = on('hold-the-interpreter', { patience: { cancel: 0.2 } });
    const running = expect(text(a)).rejects.toMatchObject({ code: 'shutting_down' });
    await vi.waitFor(() => expect(residency.health().queue.running).toBe(1), { timeout: 10_000 });
    const waiting = expect(text(a)).rejects.toMatchObject({ code: 'shutting_down' });
    const loading = expect(residency.load(b)).rejects.toMatchObject({ code: 'shutting_down' });
    await residency.close(0.2);
    await Promise.all([running, waiting, loading]);
    expect(() => residency.reserve()).toThrow(expect.objectContaining({ code: 'shutting_down' }));
  });
});

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { modelNamed, type Stage, stage } from './stage.ts';

/** Which model a request gets, and in which order requests and commands are served. */
const [a, b] = [modelNamed('a'), modelNamed('b')];
let current: Stage;
let folder: string;
const on = (...args: Parameters<typeof stage>): Stage => {
  current = stage(...args);
  return current;
};
/** Jobs with this prompt end when the test creates the file. */
const signal = (): string => path.join(folder, 'now');
const tell = (): void => writeFileSync(signal(), '');
const isRunning = (): Promise<void> =>
  vi.waitFor(() => expect(current.residency.health().queue.running).toBe(1), { timeout: 10_000 });

beforeEach(() => {
  folder = mkdtempSync(path.join(os.tmpdir(), 'asrpro-signal-'));
});
afterEach(async () => {
  await current[Symbol.asyncDispose]();
  rmSync(folder, { recursive: true });
});

it('is the default until a client names a model', async () => {
  expect(await on('until-told').text(null)).toBe('fallback');
});

it('is the model that was last loaded or named by a request', async () => {
  const { residency, text } = on('until-told');
  await residency.load(a);
  expect(await text(null)).toBe('a');
  expect(await text(b)).toBe('b');
  expect(await text(null)).toBe('b');
});

it('stays the selected model after a crash of its worker', async () => {
  const { residency, text, worker } = on('until-told');
  await residency.load(a);
  process.kill(worker().pid!, 'SIGKILL');
  await vi.waitFor(() => expect(residency.status().status).toBe('none'));
  expect(await text(null)).toBe('a');
});

it('stays the selected model after a cancel that killed the worker', async () => {
  const { residency, text } = on('side-by-side', { patience: { cancel: 0.1 } });
  await residency.load(a);
  const client = new AbortController();
  const gone = expect(text(a, { prompt: 'deaf' }, { signal: client.signal })).rejects.toMatchObject({
    code: 'client_closed',
  });
  await isRunning();
  client.abort();
  await gone;
  await vi.waitFor(() => expect(residency.status().status).toBe('none'), { timeout: 10_000 });
  await text(null);
  expect(residency.status().model).toBe('a');
});

it('is cleared by an unload', async () => {
  const told: (string | null)[] = [];
  const { residency, text } = on('until-told', { onSelected: (model) => told.push(model) });
  await residency.load(a);
  await residency.unload();
  expect(await text(null)).toBe('fallback');
  expect(told).toEqual(['a', null]);
});

it('is cleared when its files are deleted, and stays when the delete fails', async () => {
  const { residency, text } = on('until-told');
  await residency.load(a);
  const failing = residency.whileUnloaded('a', () => Promise.reject(new Error('not yours')));
  await expect(failing).rejects.toThrow('not yours');
  expect(await text(null)).toBe('a');
  await residency.whileUnloaded('a', async () => undefined);
  expect(await text(null)).toBe('fallback');
});

it('is decided for a request without a model when the request starts, not when it arrives', async () => {
  const { residency, text } = on('until-told');
  await residency.load(a);
  const first = text(a, { prompt: signal() });
  await isRunning();
  const named = text(b);
  const unnamed = text(null);
  tell();
  expect(await Promise.all([first, named, unnamed])).toEqual(['a', 'b', 'b']);
});

it('is not changed back by requests that arrived before the switch', async () => {
  const { residency, text, worker } = on('until-told');
  await residency.load(a);
  const running = text(a, { prompt: signal() });
  await isRunning();
  const waiting = [text(a), text(null)];
  const switched = residency.load(b);
  const after = text(null);
  tell();
  expect(await Promise.all([running, ...waiting, after])).toEqual(['a', 'a', 'a', 'b']);
  expect(await switched).toMatchObject({ model: 'b', previous: 'a' });
  expect(residency.status()).toMatchObject({ model: 'b', status: 'loaded' });
  expect(worker().generation).toBe(2);
});

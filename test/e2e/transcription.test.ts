import { existsSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, test } from 'vitest';
import { call, post, transcribe, wordsOf } from '../setup/api.ts';
import { audio, jfkWords } from '../setup/checkout.ts';
import { gatewayForAll } from '../setup/gateway.ts';
import { runFiles } from '../setup/leftovers.ts';

const jfk = audio('english/jfk.flac');
const isAlive = (pid: number) => existsSync(`/proc/${pid}/exe`);
/** Anonymous memory that the process shares with no other process. */
const privateBytes = (pid: number): number =>
  Number(/^Private_Dirty:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/smaps_rollup`, 'latin1'))![1]) * 1024;

const gateway = gatewayForAll({ args: ['--model', 'whisper-tiny.en'] });

test('a switch is visible in /health; an unload ends the process and reports the memory that it returned', async () => {
  const { url } = gateway();
  const first = (await call(url, '/health')).json;
  expect(first.current_model).toBe('whisper-tiny.en');

  const switched = await post(url, '/v1/settings/model', { model_id: 'whisper-base' });
  expect(switched.json).toMatchObject({ status: 'success', model: 'whisper-base', previous: 'whisper-tiny.en' });
  const { worker, current_model } = (await call(url, '/health')).json;
  expect(current_model).toBe('whisper-base');
  expect(worker.pid).not.toBe(first.worker.pid);
  expect(isAlive(first.worker.pid)).toBe(false);

  const before = privateBytes(worker.pid);
  const unloaded = await call(url, '/v1/settings/model', { method: 'DELETE' });
  expect(isAlive(worker.pid)).toBe(false);
  expect(unloaded.json).toMatchObject({ status: 'success', model: null, unloaded: 'whisper-base' });
  const { memory } = unloaded.json;
  expect(memory.worker_exited).toBe(true);
  expect(memory.before_bytes).toBeGreaterThan(before * 0.9);
  expect(memory.before_bytes).toBeLessThan(before * 1.1);
  expect(memory.returned_bytes).toBeGreaterThan(before * 0.5);
  expect((await call(url, '/health')).json).toMatchObject({ current_model: null, worker: { pid: null } });
});

// The model that the test above has unloaded is loaded by the first request.
test('speech becomes text, as JSON and as plain text, and no upload stays in the spool', async () => {
  const { url, home } = gateway();
  const json = await transcribe(url, jfk);
  expect(json.status, json.text).toBe(200);
  expect(wordsOf(json.json.text)).toBe(jfkWords);
  const text = await transcribe(url, jfk, { response_format: 'text' });
  expect(text.headers.get('content-type')).toBe('text/plain; charset=utf-8');
  expect(text.text).toBe(`${json.json.text}\n`);
  expect(runFiles(home).filter((file) => file.includes('spool/'))).toEqual([]);
});

describe('a request that is refused', () => {
  test.each([
    ['an empty file', 'corrupt/made/zero_length.wav', {}, 400, 'file'],
    ['text named .wav', 'corrupt/made/json_error.wav', {}, 400, 'file'],
    ['a web page named .mp3', 'corrupt/made/html_404.mp3', {}, 400, 'file'],
    ['no file', null, {}, 400, 'file'],
    ['an unknown model', 'english/jfk.flac', { model: 'no-such-model' }, 404, 'model'],
    ['an unknown format', 'english/jfk.flac', { response_format: 'xml' }, 400, 'response_format'],
    ['a wrong language', 'english/jfk.flac', { language: 'english' }, 400, 'language'],
  ])('leaves the worker running and the spool empty: %s', async (_name, file, fields, status, param) => {
    const { url, home } = gateway();
    const { worker } = (await call(url, '/health')).json;
    const answer = await transcribe(url, file === null ? null : audio(file), fields as Record<string, string>);
    expect(answer.status, answer.text).toBe(status);
    expect(answer.json.error).toMatchObject({ type: 'invalid_request_error', param });
    expect(Object.keys(answer.json.error).sort()).toEqual(['code', 'message', 'param', 'type']);
    expect(answer.text).not.toContain(path.dirname(home));
    expect((await call(url, '/health')).json.worker).toMatchObject({ pid: worker.pid, restarts: 0 });
    expect(runFiles(home).filter((name) => name.includes('spool/'))).toEqual([]);
  });
});

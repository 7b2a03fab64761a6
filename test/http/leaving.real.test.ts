import { readFileSync } from 'node:fs';
import path from 'node:path';
import { execa } from 'execa';
import { beforeAll, expect, test, vi } from 'vitest';
import { call, transcribe, wordsOf } from '../setup/api.ts';
import { audio, checkout, jfkWords } from '../setup/checkout.ts';
import { corpus } from '../setup/corpus.ts';
import { gatewayForAll } from '../setup/gateway.ts';
import { runFiles } from '../setup/leftovers.ts';
import { pythonWithTools } from '../setup/python-tools.ts';
import { field, multipart, type Part } from './multipart.ts';

const model = 'whisper-tiny.en';
const gateway = gatewayForAll({ args: ['--model', model] });
let long: Part;
beforeAll(async () => {
  long = await longSpeech();
});

const workerPid = async () => (await call(gateway().url, '/health')).json.worker.pid;

test('55, 59: a stream has text long before its end, and a client that disconnects frees the worker', async () => {
  let running: number | undefined;
  const { body, first } = await streamed(long, {
    onFirst: async () => {
      running = (await call(gateway().url, '/health')).json.queue.running;
    },
  });
  expect(running).toBe(1);
  expect(textOf(first).split(' ').length).toBeLessThan(textOf(body).split(' ').length / 4);
  const pid = await workerPid();
  const leave = new AbortController();
  await streamed(long, { signal: leave.signal, onFirst: () => leave.abort() }).catch(() => undefined);
  await vi.waitFor(async () => expect((await call(gateway().url, '/health')).json.queue.running).toBe(0), 2_000);
  expect(await workerPid()).toBe(pid);
  await vi.waitFor(() => expect(runFiles(gateway().home).filter((file) => /spool.+/.test(file))).toEqual([]));
});

test('58: a worker that is killed in mid-stream ends the stream with one error frame, and the next request succeeds', async () => {
  const pid = await workerPid();
  const { body } = await streamed(long, { onFirst: () => void process.kill(pid, 'SIGKILL') });
  const frames = body.trimEnd().split('\n\n');
  const { error } = JSON.parse(frames.at(-1)!.replace('data: ', ''));
  expect(error).toMatchObject({ type: 'server_error', code: 'worker_crashed', param: null });
  expect(wordsOf((await transcribe(gateway().url, audio('english/jfk.flac'), { model })).json.text)).toBe(jfkWords);
});

/** Twelve utterances joined: some windows of 30 s. */
async function longSpeech(): Promise<Part> {
  const files = corpus('librispeech').map(({ file }) => file);
  const joined = path.join(gateway().home, 'joined.wav');
  const script = path.join(checkout, 'test', 'setup', 'join_speech.py');
  await execa(await pythonWithTools(), [script, joined, ...files.slice(0, 12)]);
  return { name: 'file', value: readFileSync(joined), fileName: 'joined.wav' };
}

/** The text of the events that report parts of it. */
function textOf(frames: string): string {
  const events = frames.split('\n\n').filter((frame) => frame.includes('transcript.text.delta'));
  return events.map((frame) => JSON.parse(frame.replace('data: ', '')).delta).join('');
}

interface Watch {
  signal?: AbortSignal;
  onFirst?(): void | Promise<void>;
}

/** Asks for a stream and reads it to the end. `first`: the frames that arrived first. */
async function streamed(file: Part, { signal, onFirst }: Watch = {}) {
  const { body, headers } = multipart([field('model', model), field('stream', 'true'), file]);
  const init: RequestInit = { method: 'POST', headers, body: new Uint8Array(body) };
  const response = await fetch(`${gateway().url}/v1/audio/transcriptions`, signal ? { ...init, signal } : init);
  let text = '';
  let first = '';
  for await (const chunk of response.body!.pipeThrough(new TextDecoderStream())) {
    if (first === '') {
      first = chunk;
      await onFirst?.();
    }
    text += chunk;
  }
  return { body: text, first };
}

import { expect, test, vi } from 'vitest';
import { wav } from '../setup/wav.ts';
import { ask, expectError, field, multipart, speech } from './multipart.ts';
import { sharedGateway } from './shared-gateway.ts';

const gateway = sharedGateway();

interface Event {
  type: string;
  delta?: string;
  text?: string;
  usage?: unknown;
}

function eventsOf(body: string): Event[] {
  return body
    .split('\n\n')
    .filter((frame) => frame.startsWith('data: '))
    .map((frame) => JSON.parse(frame.slice('data: '.length)));
}

/** Starts a streamed request and returns the answer as soon as its headers have arrived. */
function open(model: string, signal?: AbortSignal): Promise<Response> {
  const { body, headers } = multipart([field('model', model), field('stream', 'true'), speech]);
  const init: RequestInit = { method: 'POST', headers, body: new Uint8Array(body) };
  return fetch(`${gateway.url}/v1/audio/transcriptions`, signal ? { ...init, signal } : init);
}

test.each(['json', 'text'])('51 to 54: events of %s add up to the text', async (format) => {
  const answer = await ask(gateway.url, ['model=mock-echo', 'stream=true', `response_format=${format}`]);
  expect(answer.headers.get('content-type')).toMatch(/^text\/event-stream/);
  const events = eventsOf(answer.text);
  const done = events.at(-1)!;
  const deltas = events.slice(0, -1);
  expect(deltas.length).toBeGreaterThan(0);
  expect(deltas.every(({ type }) => type === 'transcript.text.delta')).toBe(true);
  expect(done.type).toBe('transcript.text.done');
  expect(deltas.map(({ delta }) => delta).join('')).toBe(done.text);
  expect(done.text).toBe((await ask(gateway.url, ['model=mock-echo'])).json.text);
  expect(done.usage).toEqual({ type: 'duration', seconds: 1 });
  for (const line of answer.text.split('\n')) expect(line).toMatch(/^(data: |: |$)/);
  expect(answer.text.endsWith('\n\n')).toBe(true);
});

test('silence streams a done event with an empty text', async () => {
  const silence = { name: 'file', value: wav(1, { silent: true }), fileName: 'silence.wav' };
  const { text } = await ask(gateway.url, ['model=mock-echo', 'stream=true'], silence);
  expect(eventsOf(text)).toEqual([{ type: 'transcript.text.done', text: '', usage: { type: 'duration', seconds: 1 } }]);
});

test('55, 59: text arrives while the engine works, and a disconnect stops the engine', {
  timeout: 20_000,
}, async () => {
  const leave = new AbortController();
  const { body } = await open('mock-slow', leave.signal);
  const first = await body!.getReader().read();
  expect(new TextDecoder().decode(first.value)).toContain('transcript.text.delta');
  expect(gateway.services.residency.health().queue.running).toBe(1);
  leave.abort();
  // Nine seconds are left of the job.
  await vi.waitFor(() => expect(gateway.services.residency.health().queue.running).toBe(0), { timeout: 6_000 });
  await vi.waitFor(() => expect(gateway.spooled()).toEqual([]));
});

test.each(['verbose_json', 'srt', 'vtt'])('56: a stream of %s is refused', async (format) => {
  const answer = await ask(gateway.url, ['model=mock-echo', 'stream=true', `response_format=${format}`]);
  expectError(answer, 400, 'response_format', 'unsupported_value');
});

test('57: a failure before the first event is an ordinary error', async () => {
  const junk = { name: 'file', value: 'junk', fileName: 'junk.bin' };
  expectError(await ask(gateway.url, ['model=mock-echo', 'stream=true'], junk), 400, 'file', 'invalid_file_format');
});

test('58: an engine that crashes in mid-stream ends the stream with one error frame', async () => {
  const response = await open('mock-crash-in-job');
  const frames = (await response.text()).trimEnd().split('\n\n');
  expect(frames[0]).toContain('transcript.text.delta');
  const { error } = JSON.parse(frames.at(-1)!.replace('data: ', ''));
  expect(error).toEqual({ message: expect.any(String), type: 'server_error', param: null, code: 'worker_crashed' });
  expect(response.headers.get('connection')).toBe('close');
});

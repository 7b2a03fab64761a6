import { createReadStream, readFileSync } from 'node:fs';
import * as latest from 'openai';
import * as six from 'openai-v6';
import { describe, expect, test } from 'vitest';
import { type MockGateway, mockGateway } from '../http/mock-gateway.ts';
import { audio } from '../setup/checkout.ts';

const jfk = audio('english/jfk.flac');
const model = 'mock-echo';

describe.each([
  ['latest', latest as unknown as typeof six],
  ['6.49', six],
])('105, 107: openai-node %s', (_name, sdk) => {
  const { default: OpenAI, toFile } = sdk;
  const clientOf = (gateway: MockGateway, more: object = {}) =>
    new OpenAI({ baseURL: `${gateway.url}/v1`, apiKey: 'none', ...more });
  const file = () => createReadStream(jfk);

  test('32, 33: answers in every format have the types of the package', async () => {
    await using gateway = await mockGateway();
    const { transcriptions } = clientOf(gateway).audio;
    const json = await transcriptions.create({ file: file(), model });
    expect(json.text).toContain('mock transcript');
    const text: unknown = await transcriptions.create({ file: file(), model, response_format: 'text' });
    expect(text).toBe(`${json.text}\n`);
    const verbose = await transcriptions.create({
      file: file(),
      model,
      response_format: 'verbose_json',
      timestamp_granularities: ['word', 'segment'],
    });
    expect(verbose).toMatchObject({ language: 'english', duration: expect.any(Number) });
    expect(verbose.words!.length).toBeGreaterThan(verbose.segments!.length);
    expect((await transcriptions.create({ file: file(), model, temperature: 0.2, prompt: '' })).text).toContain('0.2');
  });

  test('a file can be passed in every way of the package', async () => {
    await using gateway = await mockGateway();
    const { transcriptions } = clientOf(gateway).audio;
    const bytes = readFileSync(jfk);
    const served = new Response(new Uint8Array(bytes), { headers: { 'content-type': 'audio/flac' } });
    for (const input of [file(), await toFile(bytes), new File([new Uint8Array(bytes)], 'a.flac'), served]) {
      expect((await transcriptions.create({ file: input as File, model })).text).toContain('mock transcript');
    }
  });

  test('53: the deltas of a stream add up to the text', async () => {
    await using gateway = await mockGateway();
    const stream = await clientOf(gateway).audio.transcriptions.create({ file: file(), model, stream: true });
    const deltas: string[] = [];
    let done: string | undefined;
    for await (const event of stream) {
      if (event.type === 'transcript.text.delta') deltas.push(event.delta);
      if (event.type === 'transcript.text.done') done = event.text;
    }
    expect(deltas.length).toBeGreaterThan(0);
    expect(deltas.join('')).toBe(done);
  });

  test('an engine that crashes in mid-stream gives an APIError', async () => {
    await using gateway = await mockGateway();
    const stream = await clientOf(gateway).audio.transcriptions.create({
      file: file(),
      model: 'mock-crash-in-job',
      stream: true,
    });
    const read = async () => {
      for await (const _event of stream);
    };
    await expect(read()).rejects.toThrow(sdk.APIError);
  });

  test('a client that leaves the loop of a stream frees the engine', async () => {
    await using gateway = await mockGateway();
    const stream = await clientOf(gateway).audio.transcriptions.create({
      file: file(),
      model: 'mock-slow',
      stream: true,
    });
    for await (const _event of stream) break;
    await expect.poll(() => gateway.services.residency.health().queue.running, { timeout: 8_000 }).toBe(0);
  });

  test('models: list, retrieve, delete', async () => {
    await using gateway = await mockGateway();
    const { models } = clientOf(gateway);
    const ids: string[] = [];
    for await (const { id } of models.list()) ids.push(id);
    expect(ids).toContain(model);
    expect((await models.retrieve(model)).id).toBe(model);
    expect(await models.delete(model)).toEqual({ id: model, object: 'model', deleted: true });
    await expect(models.retrieve('Systran/none')).rejects.toThrow(sdk.NotFoundError);
  });

  test('translations', async () => {
    await using gateway = await mockGateway();
    const { text } = await clientOf(gateway).audio.translations.create({ file: file(), model });
    expect(text).toContain('translate');
  });

  test('errors are classes of the package with status and code, and are not retried', async () => {
    const key = 'sk-0123456789abcdef';
    await using gateway = await mockGateway({ server: { maxUploadBytes: 2_000_000, apiKey: key } });
    let requests = 0;
    const count: typeof fetch = (input, init) => {
      // The package calls fetch with `data:,` to detect its features.
      if (String(input).startsWith('http')) requests += 1;
      return fetch(input, init);
    };
    const open = clientOf(gateway, { apiKey: key, fetch: count });
    const create = (more: object, client = open) =>
      client.audio.transcriptions.create({ file: file(), model, ...more } as never).then(
        () => undefined,
        (error: InstanceType<typeof sdk.APIError>) => error,
      );
    const big = new File([new Uint8Array(30_000_000)], 'big.wav');
    const cases: [object, new (...args: never[]) => Error, number, string | null][] = [
      [{ model: 'none' }, sdk.NotFoundError, 404, 'model_not_found'],
      [{ response_format: 'srt' }, sdk.BadRequestError, 400, 'unsupported_value'],
      [{ response_format: 'vtt' }, sdk.BadRequestError, 400, 'unsupported_value'],
      [{ file: big }, sdk.APIError, 413, 'file_too_large'],
      [{ model: 'mock-broken' }, sdk.InternalServerError, 500, 'model_broken'],
      [{ model: 'mock-crash-in-job' }, sdk.InternalServerError, 500, 'worker_crashed'],
    ];
    for (const [more, type, status, code] of cases) {
      requests = 0;
      const error = await create(more);
      expect(error, JSON.stringify(more)).toBeInstanceOf(type);
      expect(error).toMatchObject({ status, code, requestID: expect.any(String) });
      expect(requests).toBe(1);
    }
    const stranger = await create({}, clientOf(gateway, { apiKey: 'sk-wrong' }));
    expect(stranger).toBeInstanceOf(sdk.AuthenticationError);
  });

  test('84: the package retries a busy server until it answers', async () => {
    await using gateway = await mockGateway({ server: { maxQueue: 1 } });
    const { transcriptions } = clientOf(gateway, { maxRetries: 10 }).audio;
    const leave = new AbortController();
    const slow = () => transcriptions.create({ file: file(), model: 'mock-slow' }, { signal: leave.signal });
    const pending = Promise.allSettled([slow(), slow()]);
    const queue = () => gateway.services.residency.health().queue;
    await expect.poll(queue).toMatchObject({ running: 1, waiting: 1 });
    const bytes = new File([readFileSync(jfk)], 'a.flac');
    const statuses: number[] = [];
    const note: typeof fetch = async (input, init) => {
      const response = await fetch(input, init);
      statuses.push(response.status);
      return response;
    };
    const patient = clientOf(gateway, { maxRetries: 10, fetch: note }).audio.transcriptions;
    const answer = patient.create({ file: bytes, model: 'mock-slow', stream: true });
    await expect.poll(() => statuses).toContain(503);
    leave.abort();
    await pending;
    for await (const event of await answer) {
      expect(event.type).toBe('transcript.text.delta');
      break;
    }
  });

  test('88, 90: clients that time out leave no job behind, however often they retry', async () => {
    await using gateway = await mockGateway();
    const { transcriptions } = clientOf(gateway, { maxRetries: 2, timeout: 700 }).audio;
    const mostAtOnce = { running: 0, waiting: 0 };
    const watch = setInterval(() => {
      const { running, waiting } = gateway.services.residency.health().queue;
      mostAtOnce.running = Math.max(mostAtOnce.running, running);
      mostAtOnce.waiting = Math.max(mostAtOnce.waiting, waiting);
    }, 5);
    const given = transcriptions.create({ file: new File([readFileSync(jfk)], 'a.flac'), model: 'mock-slow' });
    await expect(given).rejects.toThrow(sdk.APIConnectionTimeoutError);
    clearInterval(watch);
    expect(mostAtOnce.running).toBe(1);
    expect(mostAtOnce.waiting).toBeLessThanOrEqual(1);
    await expect
      .poll(() => gateway.services.residency.health().queue, { timeout: 8_000 })
      .toMatchObject({ running: 0, waiting: 0 });
  });
});

import { cpSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { call, post, transcribe, wordsOf } from '../setup/api.ts';
import { audio, jfkWords } from '../setup/checkout.ts';
import { createHome } from '../setup/create-home.ts';
import { type Gateway, launchGateway } from '../setup/launch.ts';
import { runFiles } from '../setup/leftovers.ts';
import { likeMac } from '../setup/mac.ts';
import { wavOf } from '../setup/wav.ts';

export interface Subject {
  engine: string;
  model: string;
  /** Real weights are judged by their text; `toy` weights are random. */
  weights: 'real' | 'toy' | 'mock';
  /** Whether it has word times; else it refuses them. */
  words: boolean;
  /** Runs on a Mac with Apple silicon; the test makes this machine look like one. */
  mac?: boolean;
  /** Files of the model: the engine must name the one that holds garbage. The mock has its own broken model. */
  damage: readonly string[];
  /** Further environment variables of the gateway, for models that run on other machines. */
  environment?: () => NodeJS.ProcessEnv;
}

const jfk = audio('english/jfk.flac');

/** Tests of what every engine must do. @param toys returns the folder of the toy models. */
export function contract(
  { engine, model, weights, words, mac, damage, ...subject }: Subject,
  toys: () => string,
): void {
  let gateway: Gateway;
  let files: string;
  let heard: string;
  const ask = (file: string, fields: Record<string, string> = {}) =>
    transcribe(gateway.url, file, { model, ...fields });

  beforeAll(async () => {
    const mock = weights === 'mock';
    const home = createHome(!mock);
    files = path.join(home, 'audio');
    mkdirSync(files);
    mkdirSync(path.join(home, 'user'));
    if (weights === 'toy' || model === 'whisper-tiny.en-onnx')
      symlinkSync(path.join(toys(), model), path.join(home, 'models', model), 'junction');
    // Some packages print less and write fewer files when CI is set.
    const environment = {
      HOME: path.join(home, 'user'),
      CI: undefined,
      XDG_CACHE_HOME: undefined,
      ...subject.environment?.(),
      ...(mac ? await likeMac({ folder: path.join(home, 'mac') }) : {}),
    };
    gateway = await launchGateway({ home, mock, environment, args: ['--model', model] });
  });
  afterAll(async () => {
    await gateway.stop();
    await vi.waitFor(() => expect(gateway.processes(), 'processes left behind').toEqual([]), { timeout: 10_000 });
    expect(runFiles(gateway.home), 'files left behind').toEqual([]);
    expect(readdirSync(path.join(gateway.home, 'user')), 'files in the home of the user').toEqual([]);
    rmSync(gateway.home, { recursive: true });
  });

  function wav(name: string, samples: Int16Array): string {
    const file = path.join(files, name);
    writeFileSync(file, wavOf(Buffer.from(samples.buffer), 16_000));
    return file;
  }

  test('json has the text, and the settings name the loaded model', async () => {
    const { json, status, text } = await ask(jfk);
    expect(status, text).toBe(200);
    if (weights === 'real') expect(wordsOf(json.text)).toBe(jfkWords);
    else expect(json.text).not.toBe('');
    heard = json.text;
    const settings = (await call(gateway.url, '/v1/settings/model')).json;
    expect(settings).toMatchObject({ model, status: 'loaded', device: mac ? 'mps' : 'cpu' });
  });

  test('verbose_json has segments that make up the text, and words, or refuses words before the job runs', async () => {
    const fields = { response_format: 'verbose_json' };
    const withWords = { ...fields, 'timestamp_granularities[]': 'word' };
    const [asked, refused] = await Promise.all([
      ask(jfk, words ? withWords : fields),
      words ? null : ask(jfk, withWords),
    ]);
    expect(asked.status, asked.text).toBe(200);
    const { json } = asked;
    if (weights !== 'mock') expect(json.duration).toBeCloseTo(11, 1);
    if (refused === null) {
      expect(json.words.length).toBeGreaterThan(0);
      expectInOrder(json.words, json.duration);
      const joined = json.words.map(({ word }: { word: string }) => word).join(' ');
      if (weights === 'real') expect(wordsOf(joined)).toBe(jfkWords);
      return;
    }
    expect(refused.status, refused.text).toBe(400);
    expect(refused.json.error).toMatchObject({ code: 'unsupported_value', param: 'timestamp_granularities' });
    expect(json).not.toHaveProperty('words');
    const texts = json.segments.map((segment: { text: string }) => segment.text);
    expect(json.text).toBe(texts.join('').trim());
    expectInOrder(json.segments, json.duration);
  });

  test('a stream of deltas adds up to the text', async () => {
    const { text } = await ask(jfk, { stream: 'true' });
    const events = text.split('\n\n').filter((frame) => frame.startsWith('data: '));
    const said = events.map((frame) => JSON.parse(frame.slice('data: '.length)));
    const whole = said.at(-1).text;
    expect(said.at(-1).type).toBe('transcript.text.done');
    if (weights === 'real') expect(wordsOf(whole)).toBe(jfkWords);
    expect(
      said
        .slice(0, -1)
        .map(({ delta }) => delta)
        .join(''),
    ).toBe(whole);
  });

  test('hints never fail a request, whether the engine uses them or not', async () => {
    const form = new FormData();
    form.append('file', new Blob([readFileSync(jfk)]), 'jfk.flac');
    const words = Array.from({ length: 70 }, (_, index) => `Kowalczyk ${index}`);
    const hints = { model, prompt: 'A speech of 1961.', temperature: '0.2', 'languages[]': 'en' };
    for (const [name, value] of [...Object.entries(hints), ...words.map((word) => ['keywords[]', word] as const)])
      form.append(name, value);
    const answer = await fetch(`${gateway.url}/v1/audio/transcriptions`, { method: 'POST', body: form });
    const text = await answer.text();
    expect(answer.status, text).toBe(200);
    if (weights === 'real') expect(wordsOf(JSON.parse(text).text)).toBe(jfkWords);
  });

  test('a client that disconnects ends its job, and the next client gets its text', async () => {
    const { pid } = (await call(gateway.url, '/health')).json.worker;
    const speech = Int16Array.from({ length: 16_000 * 120 }, (_, at) => 9000 * Math.sin(at / 9) * Math.sin(at / 3000));
    const abort = new AbortController();
    const form = new FormData();
    form.append('model', model);
    form.append('file', new Blob([readFileSync(wav('long.wav', speech))]), 'long.wav');
    const request = { method: 'POST', body: form, signal: abort.signal };
    const answer = fetch(`${gateway.url}/v1/audio/transcriptions`, request).catch((error: Error) => error.name);
    const running = async () => (await call(gateway.url, '/health')).json.queue.running;
    // A fast engine may finish before the first look at /health.
    await Promise.race([
      answer,
      vi.waitFor(async () => expect(await running()).toBe(1), { timeout: 60_000, interval: 5 }),
    ]);
    abort.abort();
    await answer;
    await vi.waitFor(async () => expect(await running()).toBe(0), { timeout: 60_000 });
    const next = await ask(jfk, { response_format: 'text' });
    expect(next.headers.get('content-type')).toBe('text/plain; charset=utf-8');
    expect(next.text).toBe(`${heard}\n`);
    // A worker that does not acknowledge a cancel within two seconds is killed. Toys are fast enough to keep theirs.
    if (weights !== 'real') expect((await call(gateway.url, '/health')).json.worker.pid).toBe(pid);
  });

  test('silence has no text', async () => {
    const { json, status, text } = await ask(wav('silence.wav', new Int16Array(16_000 * 5)), {
      response_format: 'verbose_json',
    });
    expect(status, text).toBe(200);
    expect(json).toMatchObject({ text: '', segments: [], duration: 5 });
  });

  test('less than 0.1 s is refused', async () => {
    const { json, status } = await ask(wav('short.wav', new Int16Array(1_000).fill(3_000)));
    expect(status).toBe(400);
    expect(json.error).toMatchObject({ type: 'invalid_request_error', code: 'audio_too_short', param: 'file' });
  });

  const damages: (string | null)[] = weights === 'mock' ? [null] : [...damage];
  test.each(damages)(
    'damage in %s is reported with the remedy, and the previous model is loaded again',
    async (file) => {
      const broken = file === null ? 'mock-broken' : damagedNeighbour(file);
      const before = (await call(gateway.url, '/v1/settings/model')).json.model;
      const { json, status, text } = await post(gateway.url, '/v1/settings/model', { model_id: broken });
      expect(status, text).toBe(500);
      expect(json.error.code).toBe('model_broken');
      if (file !== null) {
        expect(json.error.message).toContain(file);
        expect(json.error.message).toMatch(/download it again/i);
        expect(json.error.message).not.toContain(gateway.home);
      }
      expect((await call(gateway.url, '/v1/settings/model')).json).toMatchObject({ model: before, status: 'loaded' });
      const listed = (await call(gateway.url, `/v1/models/${broken}`)).json;
      expect(listed).toMatchObject({ ready: false, downloaded: true });
      expect(json.error.message).toContain(listed.reason);
    },
  );

  /** Copies the model to the id of another model of its engine, with garbage of the same size in one file. */
  function damagedNeighbour(file: string): string {
    const other = {
      ray: 'whisper-small',
      'faster-whisper': 'whisper-small',
      'onnx-asr': 'whisper-small-onnx',
      'parakeet-mlx': 'parakeet-tdt-0.6b-v2-mlx',
      nemo: 'parakeet-tdt-0.6b-v2',
    };
    const int8 = !model.startsWith('whisper') && engine === 'onnx-asr';
    const id = int8 ? 'parakeet-tdt-0.6b-v2-onnx' : other[engine as keyof typeof other];
    const folder = path.join(gateway.home, 'models', id);
    cpSync(path.join(gateway.home, 'models', model), folder, { recursive: true, dereference: true });
    const marker = path.join(folder, '.asrpro.json');
    writeFileSync(marker, readFileSync(marker, 'utf8').replace(`"${model}"`, `"${id}"`));
    const { size } = statSync(path.join(folder, file));
    writeFileSync(path.join(folder, file), Buffer.alloc(size, 'garbage '));
    return id;
  }
}

export function expectInOrder(parts: readonly { start: number; end: number }[], duration: number): void {
  let last = 0;
  for (const { start, end } of parts) {
    expect(start).toBeGreaterThanOrEqual(last - 0.011);
    expect(end).toBeGreaterThanOrEqual(start);
    expect(end).toBeLessThanOrEqual(duration + 0.011);
    last = start;
  }
}

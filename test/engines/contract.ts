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
  /** What the model is made of: real weights are judged by what they say. */
  weights: 'real' | 'toy' | 'mock';
  /** Whether it has word times, or refuses them. */
  words: boolean;
  /** Of random weights nothing is probable, so that Whisper's fallback draws its text at random: never twice the same. */
  draws?: boolean;
  /** Runs on a Mac with Apple silicon, which this machine is made to look like. */
  mac?: boolean;
  /** A file of the model; with garbage in it the engine must name it. null: the mock has a broken model of its own. */
  damage: string | null;
  /** Further variables of the gateway, where models run elsewhere. */
  environment?: () => NodeJS.ProcessEnv;
}

const jfk = audio('english/jfk.flac');

/** The tests of what every engine does, whatever it is. @param toys folder of the models of random weights. */
export function contract(
  { engine, model, weights, words, draws, mac, damage, ...subject }: Subject,
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
    if (weights === 'toy' || model === 'whisper-base-onnx')
      symlinkSync(path.join(toys(), model), path.join(home, 'models', model), 'junction');
    // In CI some packages are more reticent than with a user.
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

  test('json has the text, and the settings say what is loaded', async () => {
    const { json, status, text } = await ask(jfk);
    expect(status, text).toBe(200);
    if (weights === 'real') expect(wordsOf(json.text)).toBe(jfkWords);
    else expect(json.text).not.toBe('');
    heard = json.text;
    const settings = (await call(gateway.url, '/v1/settings/model')).json;
    expect(settings).toMatchObject({ model, status: 'loaded', device: mac ? 'mps' : 'cpu' });
  });

  test('verbose_json has segments that make up the text, and words or their refusal before anything runs', async () => {
    const fields = { response_format: 'verbose_json' };
    const withWords = { ...fields, 'timestamp_granularities[]': 'word' };
    const [asked, refused] = await Promise.all([
      ask(jfk, words ? withWords : fields),
      words ? null : ask(jfk, withWords),
    ]);
    expect(asked.status, asked.text).toBe(200);
    let { json } = asked;
    // What a toy says is drawn at random, now and then nothing that has a time.
    for (let again = 0; weights === 'toy' && words && json.words.length === 0 && again < 5; again += 1) {
      json = (await ask(jfk, withWords)).json;
    }
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

  test('hints fail no request, whether the engine can use them or not', async () => {
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

  test('a client that goes away ends its job, and the next one gets its text', async () => {
    const { pid } = (await call(gateway.url, '/health')).json.worker;
    const speech = Int16Array.from({ length: 16_000 * 120 }, (_, at) => 9000 * Math.sin(at / 9) * Math.sin(at / 3000));
    const abort = new AbortController();
    const form = new FormData();
    form.append('model', model);
    form.append('file', new Blob([readFileSync(wav('long.wav', speech))]), 'long.wav');
    const request = { method: 'POST', body: form, signal: abort.signal };
    const answer = fetch(`${gateway.url}/v1/audio/transcriptions`, request).catch((error: Error) => error.name);
    const running = async () => (await call(gateway.url, '/health')).json.queue.running;
    // The quick ones may be done before anybody can look.
    await Promise.race([
      answer,
      vi.waitFor(async () => expect(await running()).toBe(1), { timeout: 60_000, interval: 5 }),
    ]);
    abort.abort();
    await answer;
    await vi.waitFor(async () => expect(await running()).toBe(0), { timeout: 60_000 });
    const next = await ask(jfk, { response_format: 'text' });
    expect(next.headers.get('content-type')).toBe('text/plain; charset=utf-8');
    if (draws) expect(next.text).toMatch(/\S.*\n$/s);
    else expect(next.text).toBe(`${heard}\n`);
    // An engine that does not stop within two seconds is ended; the others keep their process.
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

  test('a damaged model is told with its file and the remedy, and the one before is loaded again', async () => {
    const broken = damage === null ? 'mock-broken' : await damagedNeighbour(damage);
    const before = (await call(gateway.url, '/v1/settings/model')).json.model;
    const { json, status, text } = await post(gateway.url, '/v1/settings/model', { model_id: broken });
    expect(status, text).toBe(500);
    expect(json.error.code).toBe('model_broken');
    if (damage !== null) {
      expect(json.error.message).toContain(damage);
      expect(json.error.message).toMatch(/download it again/i);
      expect(json.error.message).not.toContain(gateway.home);
    }
    expect((await call(gateway.url, '/v1/settings/model')).json).toMatchObject({ model: before, status: 'loaded' });
    const listed = (await call(gateway.url, `/v1/models/${broken}`)).json;
    expect(listed).toMatchObject({ ready: false, downloaded: true });
    expect(json.error.message).toContain(listed.reason);
  });

  /** The same model under the name of another of its engine, of the right size and with garbage in one file. */
  async function damagedNeighbour(file: string): Promise<string> {
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

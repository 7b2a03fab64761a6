import { createReadStream, readFileSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import path from 'node:path';
import OpenAI from 'openai';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { launch, type Sidecar } from '../../src/client/index.ts';
import { scenarios } from '../../src/mock/scenarios.ts';
import { audio, programBinary as binary, checkout } from '../setup/checkout.ts';
import { createHome } from '../setup/create-home.ts';

const home = createHome(false);
let sidecar: Sidecar;
let openai: OpenAI;

beforeAll(async () => {
  sidecar = await launch({ binary, mock: true, home });
  openai = new OpenAI({ baseURL: sidecar.baseURL, apiKey: 'none', maxRetries: 0 });
});
afterAll(async () => {
  await sidecar.stop();
  await rm(home, { recursive: true });
});

const transcribe = (model: string, options: OpenAI.RequestOptions = {}) =>
  openai.audio.transcriptions.create({ file: createReadStream(audio('english/jfk.flac')), model }, options);

/** The promises of docs/embedding.md for each scenario, tested with OpenAI's package, and with our client for downloads. */
const behaviours: Record<string, () => Promise<void>> = {
  'mock-echo': async () => {
    const { text } = await transcribe('mock-echo');
    expect(text).toMatch(/^This is a mock transcript of [\d.]+ seconds of audio\. The task is transcribe\.$/);
    expect((await transcribe('mock-echo')).text).toBe(text);
  },
  'mock-slow': async () => {
    const file = createReadStream(audio('english/jfk.flac'));
    const stream = await openai.audio.transcriptions.create({ file, model: 'mock-slow', stream: true });
    for await (const event of stream) {
      expect(event).toMatchObject({ type: 'transcript.text.delta' });
      break;
    }
  },
  'mock-crash-on-load': async () => {
    await expect(transcribe('mock-crash-on-load')).rejects.toMatchObject({ status: 500, code: 'worker_crashed' });
  },
  'mock-crash-in-job': async () => {
    await expect(transcribe('mock-crash-in-job')).rejects.toMatchObject({ status: 500, code: 'worker_crashed' });
  },
  'mock-out-of-memory': async () => {
    await expect(transcribe('mock-out-of-memory')).rejects.toMatchObject({ status: 500, code: 'out_of_memory' });
  },
  'mock-broken': async () => {
    await expect(transcribe('mock-broken')).rejects.toMatchObject({ status: 500, code: 'model_broken' });
  },
  'mock-busy': async () => {
    const error = await transcribe('mock-busy').catch(
      (thrown: unknown) => thrown as InstanceType<typeof OpenAI.APIError>,
    );
    expect(error).toMatchObject({ status: 503, code: 'model_busy' });
    expect((error as { headers: Headers }).headers.get('retry-after')).toMatch(/^\d+$/);
  },
  'mock-hang': async () => {
    await expect(transcribe('mock-hang', { timeout: 500 })).rejects.toBeInstanceOf(OpenAI.APIConnectionTimeoutError);
  },
  'mock-download': async () => {
    await expect(transcribe('mock-download')).rejects.toMatchObject({ status: 404, code: 'model_not_found' });
    const states: string[] = [];
    for await (const { status } of sidecar.download('mock-download')) states.push(status);
    expect(states.at(-1)).toBe('installed');
    expect((await transcribe('mock-download')).text).toContain('mock transcript');
  },
  'mock-download-fails': async () => {
    const following = async () => {
      for await (const { status } of sidecar.download('mock-download-fails')) expect(status).not.toBe('installed');
    };
    await expect(following()).rejects.toMatchObject({ code: 'download_failed' });
    await expect(transcribe('mock-download-fails')).rejects.toMatchObject({ status: 404, code: 'model_not_found' });
  },
};

test.each(Object.keys(behaviours))('%s behaves as the table says, and the sidecar stays healthy', async (model) => {
  expect(await openai.models.retrieve(model)).toMatchObject({ id: model, owned_by: 'asrpro' });
  await behaviours[model]!();
  expect((await transcribe('mock-echo')).text).toContain('mock transcript');
});

test('the table in docs/embedding.md lists every scenario with the description in the code', () => {
  const page = readFileSync(path.join(checkout, 'docs', 'embedding.md'), 'utf8');
  const rows = [...page.matchAll(/^\| `(mock-[a-z-]+)` \| ([^|]+) \|/gm)].map(([, id, description]) => ({
    id,
    description,
  }));
  expect(rows).toEqual(scenarios.map(({ id, description }) => ({ id, description })));
  expect(Object.keys(behaviours)).toEqual(scenarios.map(({ id }) => id));
});

/**
 * `npm run bench:longform [MODEL...]`: memory and time of a file of 12 minutes beside one of 60 seconds, and the word errors
 * of the whole file beside those of its parts. `npm run bench:longform wer`: Whisper in ONNX form beside faster-whisper, both
 * with greedy search.
 */
import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { execa } from 'execa';
import { call, transcribe } from '../test/setup/api.ts';
import { checkout } from '../test/setup/checkout.ts';
import { corpus } from '../test/setup/corpus.ts';
import { createHome } from '../test/setup/create-home.ts';
import { type Gateway, launchGateway } from '../test/setup/launch.ts';
import { pythonWithTools } from '../test/setup/python-tools.ts';
import { toyModels } from '../test/setup/toy-models.ts';

/** Goals: peak memory of the long file relative to the short one, and the time of the first text relative to the whole time. */
const MOST_MEMORY = 1.15;
const LATEST_TEXT = 0.1;

const speech = path.join(checkout, '..', 'shared', 'audio', 'longform', 'libri_27-123349_12min.m4a');
/** Models, and whether their text is meaningful. */
const models: Record<string, boolean> = {
  'whisper-base': true,
  'whisper-base-onnx': true,
  'parakeet-tdt-0.6b-v3-onnx': false,
  'parakeet-tdt-0.6b-v3': false,
};
/** The settings of both: no beam search. */
const GREEDY = { models: { settings: { 'whisper-base': { beamSize: 1 } } } };

const folder = mkdtempSync(path.join(os.tmpdir(), 'asrpro-longform-'));
try {
  const [first, ...rest] = process.argv.slice(2);
  if (first === 'wer') await compareGreedy();
  else await measureAll(first === undefined ? Object.keys(models) : [first, ...rest]);
} finally {
  rmSync(folder, { recursive: true });
}

async function measureAll(names: readonly string[]): Promise<void> {
  const utterances = utterancesOf(speech.replace(/\.m4a$/, '.segments.tsv'));
  const minute = await cut([[0, 60]], 'minute');
  const parts = await cut(
    utterances.map(({ start, stop }) => [start, stop]),
    'parts',
  );
  for (const model of names) {
    const short = await withGateway(model, {}, async (gateway) => {
      await transcribe(gateway.url, minute[0]!, { model });
      return await peakBytes(gateway);
    });
    const long = await withGateway(model, {}, async (gateway) => {
      const heard = await stream(gateway, model);
      return { ...heard, peak: await peakBytes(gateway) };
    });
    const growth = long.peak / short;
    const share = long.firstSeconds / long.seconds;
    console.log(
      `${model}: peak ${mb(short)} for 60 s, ${mb(long.peak)} for 12 min, ${growth.toFixed(2)} x ${verdict(growth <= MOST_MEMORY)}; ` +
        `first text after ${long.firstSeconds.toFixed(1)} of ${long.seconds.toFixed(1)} s, ${(100 * share).toFixed(1)} %${models[model] ? ` ${verdict(share <= LATEST_TEXT)}` : ', mostly decoding'}`,
    );
    if (!models[model]) continue;
    const texts = await withGateway(model, {}, (gateway) => transcribeAll(gateway, model, parts));
    const whole = [{ reference: utterances.map(({ text }) => text).join(' '), hypothesis: long.text }];
    const pieces = texts.map((hypothesis, index) => ({ reference: utterances[index]!.text, hypothesis }));
    console.log(
      `  the whole file: ${await wordErrors(whole)}\n  its ${parts.length} parts: ${await wordErrors(pieces)}`,
    );
  }
}

async function compareGreedy(): Promise<void> {
  const utterances = corpus('librispeech');
  for (const model of ['whisper-base', 'whisper-base-onnx']) {
    const files = utterances.map(({ file }) => file);
    const texts = await withGateway(model, GREEDY, (gateway) => transcribeAll(gateway, model, files));
    const pairs = texts.map((hypothesis, index) => ({ reference: utterances[index]!.reference, hypothesis }));
    console.log(`${model}, greedy, ${pairs.length} LibriSpeech utterances: ${await wordErrors(pairs)}`);
  }
}

async function withGateway<T>(model: string, config: object, use: (gateway: Gateway) => Promise<T>): Promise<T> {
  const home = createHome(true);
  if (model !== 'whisper-base')
    symlinkSync(path.join(await toyModels(), model), path.join(home, 'models', model), 'junction');
  writeFileSync(path.join(home, 'config.json'), JSON.stringify(config));
  const gateway = await launchGateway({ home, args: ['--model', model] });
  try {
    return await use(gateway);
  } finally {
    await gateway.stop();
    rmSync(home, { recursive: true });
  }
}

/** Sends the long file and reads the events as they come. */
async function stream({ url }: Gateway, model: string) {
  const form = new FormData();
  for (const [name, value] of Object.entries({ model, stream: 'true', language: 'en' })) form.append(name, value);
  form.append('file', new Blob([readFileSync(speech)]), path.basename(speech));
  const begin = performance.now();
  const seconds = (): number => (performance.now() - begin) / 1000;
  const answer = await fetch(`${url}/v1/audio/transcriptions`, { method: 'POST', body: form });
  if (!answer.ok) throw new Error(await answer.text());
  let firstSeconds = 0;
  let received = '';
  for await (const chunk of answer.body!.pipeThrough(new TextDecoderStream())) {
    received += chunk;
    if (firstSeconds === 0 && received.includes('transcript.text.delta')) firstSeconds = seconds();
  }
  const done = received.split('\n\n').find((frame) => frame.includes('transcript.text.done'));
  if (done === undefined) throw new Error(`the stream broke off: ${received.slice(-300)}`);
  return { text: JSON.parse(done.slice('data: '.length)).text as string, firstSeconds, seconds: seconds() };
}

/** The texts of files, two at a time. */
async function transcribeAll({ url }: Gateway, model: string, files: readonly string[]): Promise<string[]> {
  const texts: string[] = [];
  const left = [...files.entries()];
  const client = async (): Promise<void> => {
    for (let next = left.shift(); next !== undefined; next = left.shift()) {
      const { json, status, text } = await transcribe(url, next[1], { model, language: 'en' });
      if (status !== 200) throw new Error(`${next[1]}: ${text}`);
      texts[next[0]] = json.text;
    }
  };
  await Promise.all([client(), client()]);
  return texts;
}

/** Highest resident memory of the worker so far. */
async function peakBytes({ url }: Gateway): Promise<number> {
  const { pid } = (await call(url, '/health')).json.worker;
  return 1024 * Number(/VmHWM:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))![1]);
}

async function cut(spans: readonly (readonly [number, number])[], name: string): Promise<string[]> {
  const target = path.join(folder, name);
  mkdirSync(target);
  const script = path.join(import.meta.dirname, 'cut_audio.py');
  await execa(await pythonWithTools(), [script, speech, target], { input: JSON.stringify(spans) });
  return spans.map((_, index) => path.join(target, `${index}.wav`));
}

function utterancesOf(file: string): { start: number; stop: number; text: string }[] {
  const [, ...rows] = readFileSync(file, 'utf8').trimEnd().split('\n');
  return rows.map((row) => {
    const [start, stop, , text] = row.split('\t');
    return { start: Number(start), stop: Number(stop), text: text! };
  });
}

async function wordErrors(pairs: readonly { reference: string; hypothesis: string }[]): Promise<string> {
  const script = path.join(import.meta.dirname, 'word_error_rate.py');
  return (await execa(await pythonWithTools(), [script], { input: JSON.stringify(pairs) })).stdout;
}

function mb(bytes: number): string {
  return `${Math.round(bytes / 1e6)} MB`;
}

function verdict(good: boolean): string {
  return good ? '(as wanted)' : '(TOO MUCH)';
}

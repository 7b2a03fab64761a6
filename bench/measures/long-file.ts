import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { execa } from 'execa';
import { checkout } from '../../test/setup/checkout.ts';
import { corpus } from '../../test/setup/corpus.ts';
import { pythonWithTools } from '../../test/setup/python-tools.ts';
import { startInProcess } from '../contenders/in-process.ts';
import { startProduct } from '../contenders/over-http.ts';
import { peak } from '../processes.ts';
import type { Measured, Row, Surroundings } from '../row.ts';

const MODEL = 'whisper-tiny.en';

interface LongFile {
  name: string;
  path: string;
  reference: string;
  /** When the first text has to come, in per cent of the total time: it takes a second or two whatever the length. */
  firstText: number;
}

interface Heard {
  text: string;
  wall: number;
  first: number;
  peak: number;
  wer: number;
}

/** Long files: memory, first text, time, and what the cuts do to the words. With `--full` one of 70 minutes as well. */
export async function longFile(around: Surroundings): Promise<Measured> {
  const folder = mkdtempSync(path.join(os.tmpdir(), 'asrpro-bench-'));
  try {
    const [rows, raw]: [Row[], unknown[]] = [[], []];
    for (const file of await longFiles(around, folder)) {
      const theirs = await inProcess(around, file);
      const ours = await overHttp(around, file);
      rows.push(...compare(file, ours, theirs));
      raw.push({ file: file.name, ours, theirs });
    }
    return { rows, charts: [], raw };
  } finally {
    rmSync(folder, { recursive: true });
  }
}

function compare({ name, firstText }: LongFile, ours: Heard, theirs: Heard): Row[] {
  const points = (ours.wer - theirs.wer) * 100;
  const per = (value: number): string => `${(value * 100).toFixed(2)} %`;
  return [
    {
      name: `${name}: total time against in-process`,
      value: ours.wall / theirs.wall,
      target: 0.42,
      unit: 'x',
      detail: `asrpro ${ours.wall.toFixed(1)} s, in-process ${theirs.wall.toFixed(1)} s`,
    },
    {
      name: `${name}: peak memory of the worker`,
      value: ours.peak,
      target: 600,
      unit: 'MB',
      detail: `in-process ${theirs.peak.toFixed(0)} MB`,
    },
    {
      name: `${name}: first text, part of the total time`,
      value: (ours.first / ours.wall) * 100,
      target: firstText,
      unit: '%',
      detail: `asrpro ${ours.first.toFixed(1)} s, in-process ${theirs.first.toFixed(1)} s`,
    },
    {
      name: `${name}: word error rate above in-process`,
      value: Math.max(0, points),
      target: 0,
      unit: 'points',
      detail: `asrpro ${per(ours.wer)}, in-process ${per(theirs.wer)}`,
    },
  ];
}

async function inProcess(around: Surroundings, file: LongFile): Promise<Heard> {
  const direct = await startInProcess(around.python, around.modelPath(MODEL));
  try {
    const { text, seconds, first } = await direct.ask(file.path, 'en');
    return { text, wall: seconds, first: first ?? seconds, peak: peak(direct.pid), wer: await wordErrors(file, text) };
  } finally {
    await direct.stop();
  }
}

async function overHttp(around: Surroundings, file: LongFile): Promise<Heard> {
  const product = await startProduct(around.home, MODEL);
  try {
    const form = new FormData();
    for (const [name, value] of Object.entries({ model: MODEL, language: 'en', stream: 'true' }))
      form.append(name, value);
    form.append('file', new Blob([readFileSync(file.path)]), path.basename(file.path));
    const begin = performance.now();
    const since = (): number => (performance.now() - begin) / 1000;
    const response = await fetch(`${product.gateway.url}/v1/audio/transcriptions`, { method: 'POST', body: form });
    if (!response.ok) throw new Error(await response.text());
    let [body, first] = ['', 0];
    const decoder = new TextDecoder();
    for await (const chunk of response.body!) {
      body += decoder.decode(chunk, { stream: true });
      if (first === 0 && body.includes('transcript.text.delta')) first = since();
    }
    const done = body
      .split('\n')
      .findLast((line) => line.startsWith('data:') && line.includes('transcript.text.done'))!;
    const { text } = JSON.parse(done.slice('data:'.length)) as { text: string };
    // The gateway is small; the largest process of the tree is the worker.
    return { text, wall: since(), first, peak: peak(product.pid), wer: await wordErrors(file, text) };
  } finally {
    await product.stop();
  }
}

async function wordErrors({ reference }: LongFile, hypothesis: string): Promise<number> {
  const script = path.join(import.meta.dirname, '..', 'word_error_rate.py');
  const { stdout } = await execa(await pythonWithTools(), [script], {
    input: JSON.stringify([{ reference, hypothesis }]),
  });
  return Number(/([\d.]+)%/.exec(stdout)![1]) / 100;
}

/** The recording of 12 minutes where it lies beside the checkout, and joined utterances. */
async function longFiles(around: Surroundings, folder: string): Promise<LongFile[]> {
  const recordings = corpus('librispeech');
  const utterances = recordings.map(({ file }) => file);
  const spoken = recordings.map(({ reference }) => reference).join(' ');
  const found: LongFile[] = [];
  const shared = path.join(checkout, '..', 'shared', 'audio', 'longform', 'libri_27-123349_12min');
  const reading = existsSync(`${shared}.txt`)
    ? { path: `${shared}.m4a`, reference: readFileSync(`${shared}.txt`, 'utf8') }
    : null;
  if (reading !== null) found.push({ name: '12 minutes of one reader', ...reading, firstText: 10 });
  if (around.full || reading === null) {
    const joined = await join(folder, 'joined', utterances);
    found.push({ name: 'joined utterances of many readers', path: joined, reference: spoken, firstText: 10 });
  }
  if (around.full && reading !== null) {
    const parts = Array.from({ length: 6 }, () => reading.path);
    const reference = parts.map(() => reading.reference).join(' ');
    found.push({ name: '74 minutes', path: await join(folder, 'long', parts), reference, firstText: 3 });
  }
  return found;
}

async function join(folder: string, name: string, files: string[]): Promise<string> {
  const script = path.join(checkout, 'test', 'setup', 'join_speech.py');
  const output = path.join(folder, `${name}.wav`);
  await execa(await pythonWithTools(), [script, output, ...files]);
  return output;
}

import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { appendFileSync, existsSync, mkdirSync, readFileSync, rmSync, symlinkSync } from 'node:fs';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { createHome } from '../../test/setup/create-home.ts';
import { launchGateway } from '../../test/setup/launch.ts';
import { pythonWithTools } from '../../test/setup/python-tools.ts';
import { sharedHome } from '../../test/setup/shared-home.ts';
import { toyModels } from '../../test/setup/toy-models.ts';

export interface Order {
  file: string;
  keywords?: string[];
  /** Also return the start times of the words. */
  words?: boolean;
  /** Which of several runs of the library; the product gives the same text each time. */
  run?: number;
}

export interface Heard {
  text: string;
  words?: [string, number][];
}

export type Kind = 'faster-whisper' | 'onnx-asr';
export type Listen = (orders: readonly Order[]) => Promise<Heard[]>;

const script = path.join(import.meta.dirname, 'direct.py');
/** Requests at a time: the worker decodes pieces of all of them in one batch. */
const CLIENTS = 4;

async function folderOf(model: string, kind: Kind): Promise<string> {
  return path.join(kind === 'onnx-asr' ? await toyModels() : path.join(sharedHome, 'models'), model);
}

/** Direct calls of the library. Its answers are deterministic, so they are kept beside the environments. */
export async function direct(model: string, kind: Kind): Promise<Listen> {
  const python = await pythonWithTools();
  const kept = path.join(sharedHome, 'direct-answers', `accuracy-${model}.jsonl`);
  const version = `${python}\n${readFileSync(script, 'utf8')}`;
  const known = new Map<string, Heard>();
  for (const line of existsSync(kept) ? readFileSync(kept, 'utf8').split('\n') : []) {
    if (line.endsWith('}}')) known.set(JSON.parse(line).key, JSON.parse(line).heard);
  }
  return async (orders) => {
    const keys = orders.map(({ file, run = 0, ...how }) =>
      createHash('sha256')
        .update(readFileSync(file))
        .update(JSON.stringify(run > 0 ? { ...how, run } : how))
        .update(version)
        .digest('hex'),
    );
    const missing = orders.filter((_, at) => !known.has(keys[at]!));
    if (missing.length > 0) {
      console.error(`${model} in-process: ${missing.length} files`);
      const child = spawn(python, [script, kind, await folderOf(model, kind)], {
        stdio: ['pipe', 'pipe', 'inherit'],
        // Threads that spin while they wait take time from other processes. The setting does not change the text.
        env: { ...process.env, OMP_WAIT_POLICY: 'passive' },
      });
      const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
      mkdirSync(path.dirname(kept), { recursive: true });
      for (const [at, order] of orders.entries()) {
        if (known.has(keys[at]!)) continue;
        child.stdin.write(`${JSON.stringify(order)}\n`);
        const { value, done } = await lines.next();
        if (done) throw new Error(`${kind} ended at ${order.file}`);
        known.set(keys[at]!, JSON.parse(value));
        appendFileSync(kept, `${JSON.stringify({ key: keys[at], heard: JSON.parse(value) })}\n`);
      }
      child.stdin.end();
      if (child.exitCode === null) await once(child, 'exit');
    }
    return keys.map((key) => known.get(key)!);
  };
}

/** The product over HTTP. The caller stops it. */
export async function product(model: string, kind: Kind): Promise<{ listen: Listen; stop: () => Promise<void> }> {
  const home = createHome(true);
  if (kind === 'onnx-asr') symlinkSync(await folderOf(model, kind), path.join(home, 'models', model), 'junction');
  const gateway = await launchGateway({ home, args: ['--model', model] });
  const listen: Listen = async (orders) => {
    const heard: Heard[] = [];
    const left = [...orders.entries()];
    const client = async (): Promise<void> => {
      for (let next = left.shift(); next !== undefined; next = left.shift())
        heard[next[0]] = await post(gateway.url, model, next[1]);
    };
    await Promise.all(Array.from({ length: CLIENTS }, client));
    return heard;
  };
  const stop = async (): Promise<void> => {
    await gateway.stop();
    rmSync(home, { recursive: true });
  };
  return { listen, stop };
}

async function post(url: string, model: string, { file, keywords = [], words = false }: Order): Promise<Heard> {
  const form = new FormData();
  form.append('model', model);
  for (const keyword of keywords) form.append('keywords[]', keyword);
  if (words) {
    form.append('response_format', 'verbose_json');
    form.append('timestamp_granularities[]', 'word');
  }
  form.append('file', new Blob([readFileSync(file)]), path.basename(file));
  const response = await fetch(`${url}/v1/audio/transcriptions`, { method: 'POST', body: form });
  if (!response.ok) throw new Error(`${file}: ${response.status} ${await response.text()}`);
  const answer = (await response.json()) as { text: string; words?: { word: string; start: number }[] };
  const times = answer.words?.map(({ word, start }): [string, number] => [word, start]);
  return { text: answer.text, ...(times ? { words: times } : {}) };
}

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { pythonWorker } from '../../src/worker/python.ts';
import type { Contender } from './contender.ts';

export interface Answer {
  seconds: number;
  text: string;
  /** Seconds until the first segment; null where there is none. */
  first: number | null;
}

export interface InProcess extends Contender {
  /** Transcribes one second of silence. */
  warmUp(): Promise<void>;
  /** With `pieces`, the library's batched pipeline decodes that many pieces at once. */
  ask(file: string, language: string | null, pieces?: number): Promise<Answer>;
}

/**
 * faster-whisper in a Python process without a server around it: the baseline.
 *
 * @param tuned with the environment variables that the product sets for its worker.
 * @param gpu on a GPU if there is one.
 */
export async function startInProcess(
  python: string,
  model: string,
  { tuned = false, gpu = false } = {},
): Promise<InProcess> {
  const script = path.join(import.meta.dirname, 'in_process.py');
  const env = { ...process.env, ...(tuned ? pythonWorker(python, {}, '', {}).env : {}) };
  const child = spawn(python, [script], { stdio: ['pipe', 'pipe', 'inherit'], env });
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  const exchange = async (order: object): Promise<Answer> => {
    child.stdin.write(`${JSON.stringify(order)}\n`);
    const { value, done } = await lines.next();
    if (done) throw new Error('faster-whisper ended');
    return JSON.parse(value);
  };
  await exchange({ model, gpu });
  return {
    name: 'in-process',
    pid: child.pid!,
    warmUp: async () => void (await exchange({ warm: true })),
    ask: (file, language, pieces) => exchange({ file, language, pieces }),
    transcribe: async (file, language) => (await exchange({ file, language })).text,
    async stop() {
      child.stdin.end();
      if (child.exitCode === null) await once(child, 'exit');
    },
  };
}

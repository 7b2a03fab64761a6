import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect } from 'vitest';
import type { ModelEngine } from '../../src/engine-table.ts';
import { createLog } from '../../src/log.ts';
import type { Model } from '../../src/models/model.ts';
import type { JobSpec } from '../../src/residency/job.ts';
import { createResidency, type ResidencyOptions } from '../../src/residency/residency.ts';
import type { JobQueue, Residency, WorkerHealth } from '../../src/residency/types.ts';
import type { Segment } from '../../src/transcription/types.ts';
import { createRunDirectory } from '../../src/wire/run-directory.ts';
import type { StartWorker, WorkerHandle } from '../../src/worker/handle.ts';
import { createProcessStarter } from '../../src/worker/process.ts';
import { type Timeouts, Worker } from '../../src/worker/worker.ts';
import { modelNamed } from './models.ts';

export { modelNamed };

const FIXTURES = fileURLToPath(new URL('../fixtures/workers', import.meta.url));
const log = createLog({ level: 'silent', format: 'json' });
const timeouts: Timeouts = { hello: 20, load: 20, job: () => 20, cancel: 5, kill: 10 };

export interface Stage extends AsyncDisposable {
  residency: Residency & JobQueue;
  worker(): WorkerHealth;
  /** Process ids of all started workers. */
  pids(): number[];
  runFolder: string;
  /** Starts a process that the residency does not know. */
  startHandle(): Promise<WorkerHandle>;
  /** Starts a worker that the residency does not know, and waits for its hello. */
  startWorker(): Promise<Worker>;
  /** Runs a job and returns its text, or rejects with its error. Without a model it gets the selected one, else `fallback`. */
  text(
    model: Model | null,
    order?: Partial<JobSpec['message']>,
    options?: { stream?: boolean; signal?: AbortSignal; onSegment?: () => void },
  ): Promise<string>;
}

export interface StageOptions extends Partial<Omit<ResidencyOptions, 'timeouts'>> {
  timeouts?: Partial<Timeouts>;
  /** The fixture program of an engine. */
  programs?: Partial<Record<ModelEngine, string>>;
  /** Wraps a process before the residency gets it. */
  disguise?(handle: WorkerHandle): WorkerHandle;
}

/** The real residency with real processes of a fixture program. Disposing asserts that no process is left. */
export function stage(fixture: string, { programs = {}, disguise, ...options }: StageOptions = {}): Stage {
  const root = mkdtempSync(path.join(os.tmpdir(), 'asrpro-test-'));
  const run = createRunDirectory(root);
  const startProcess = createProcessStarter({
    log,
    run,
    command: async (engine) => ({
      file: process.execPath,
      args: [path.join(FIXTURES, `${programs[engine] ?? fixture}.mjs`)],
      env: { NODE_COMPILE_CACHE: process.env.NODE_COMPILE_CACHE },
    }),
  });
  const pids = new Set<number>();
  const start: StartWorker = async (engine, generation) => {
    const handle = await startProcess(engine, generation);
    pids.add(handle.pid!);
    return disguise?.(handle) ?? handle;
  };
  const residency = createResidency({
    log,
    start,
    maxQueue: 32,
    queueSeconds: 30,
    drainSeconds: 20,
    stopSeconds: 5,
    requireEngine: async () => undefined,
    loadSettings: async () => ({ device: 'cpu', compute_type: 'int8', threads: 1, concurrency: 1 }),
    onSelected: () => undefined,
    ...options,
    timeouts: { ...timeouts, ...options.timeouts },
  });
  return {
    residency,
    runFolder: run.path,
    startHandle: () => start('faster-whisper', 1),
    async startWorker() {
      const worker = new Worker(await start('faster-whisper', 1), 'faster-whisper', 1, timeouts, log);
      await worker.hello();
      return worker;
    },
    pids: () => [...pids],
    worker: () => residency.health().worker,
    async text(model, message = {}, { stream = false, signal = new AbortController().signal, onSegment } = {}) {
      const place = residency.reserve();
      try {
        const resolve = async (selected: string | null) => {
          const chosen = model ?? (selected === null ? fallback : modelNamed(selected));
          return { model: chosen, stream, message: { ...order, ...message } };
        };
        const { segments } = await place.start({ namesModel: model !== null, resolve }, signal);
        return await joined(segments, onSegment);
      } finally {
        place.release();
      }
    },
    async [Symbol.asyncDispose]() {
      await residency.close(0);
      for (const pid of pids) expect(groupLives(pid), `process group ${pid} is gone`).toBe(false);
      run.remove();
      expect(readdirSync(root)).toEqual([]);
      rmSync(root, { recursive: true });
    },
  };
}

export const fallback: Model = modelNamed('fallback');

const order: JobSpec['message'] = {
  audio: '/nonexistent',
  task: 'transcribe',
  language: null,
  prompt: null,
  temperature: null,
  beam_size: null,
  hotwords: [],
  word_timestamps: false,
  logprobs: false,
  vad_filter: true,
};

export async function joined(segments: AsyncIterable<Segment>, onSegment = () => {}): Promise<string> {
  let text = '';
  for await (const segment of segments) {
    text += segment.text;
    onSegment();
  }
  return text.trim();
}

export function groupLives(pid: number): boolean {
  try {
    process.kill(-pid, 0);
    return true;
  } catch {
    return false;
  }
}

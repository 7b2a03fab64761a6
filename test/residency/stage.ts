import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect } from 'vitest';
import { createLog } from '../../src/log.ts';
import { mockCapabilities } from '../../src/mock/capabilities.ts';
import type { Model } from '../../src/models/model.ts';
import type { JobOrder } from '../../src/residency/job.ts';
import { ModelResidency, type ResidencyOptions } from '../../src/residency/residency.ts';
import type { Segment } from '../../src/transcription/types.ts';
import { createRunDirectory } from '../../src/wire/run-directory.ts';
import { createProcessStarter } from '../../src/worker/process.ts';
import { Supervisor } from '../../src/worker/supervisor.ts';
import type { Patience } from '../../src/worker/worker.ts';

const FIXTURES = fileURLToPath(new URL('../fixtures/workers', import.meta.url));
const log = createLog({ level: 'silent', format: 'json' });
const patience: Patience = { hello: 20, load: 20, job: () => 20, cancel: 5 };

export interface Stage extends AsyncDisposable {
  residency: ModelResidency;
  supervisor: Supervisor;
  /** Queues a job and gives its whole text; rejects with its error. */
  text(
    model: Model,
    order?: Partial<JobOrder['message']>,
    options?: { stream?: boolean; signal?: AbortSignal },
  ): Promise<string>;
}

/** The real residency, supervisor and wire over one of the fixture programs. Disposing asserts that nothing is left. */
export function stage(
  fixture: string,
  options: Partial<ResidencyOptions> & { patience?: Partial<Patience> } = {},
): Stage {
  const root = mkdtempSync(path.join(os.tmpdir(), 'asrpro-test-'));
  const run = createRunDirectory(root);
  const start = createProcessStarter({
    log,
    run,
    command: async () => ({ file: process.execPath, args: [path.join(FIXTURES, `${fixture}.mjs`)], env: {} }),
  });
  const supervisor = new Supervisor(start, { ...patience, ...options.patience }, log);
  const residency = new ModelResidency({
    supervisor,
    log,
    maxQueue: 32,
    queueSeconds: 30,
    drainSeconds: 20,
    stopSeconds: 5,
    requireEngine: async () => undefined,
    loadSettings: async () => ({ device: 'cpu', compute_type: 'int8', threads: 1, concurrency: 1 }),
    onSelected: () => undefined,
    ...options,
  });
  const pids = new Set<number>();
  const note = (): void => {
    const { pid } = supervisor.health();
    if (pid !== null) pids.add(pid);
  };
  return {
    residency,
    supervisor,
    async text(model, message = {}, { stream = false, signal = new AbortController().signal } = {}) {
      const place = residency.reserve();
      try {
        const { segments } = await place.start({ model, stream, message: { ...order, ...message } }, signal);
        note();
        return await joined(segments);
      } finally {
        place.release();
      }
    },
    async [Symbol.asyncDispose]() {
      note();
      await residency.close(0);
      for (const pid of pids) expect(groupLives(pid), `process group ${pid} is gone`).toBe(false);
      run.remove();
      expect(readdirSync(root)).toEqual([]);
      rmSync(root, { recursive: true });
    },
  };
}

const order: JobOrder['message'] = {
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

export function modelNamed(id: string): Model {
  return {
    id,
    name: id,
    description: '',
    engine: 'faster-whisper',
    sizeBytes: 1,
    languages: ['en'],
    license: null,
    capabilities: mockCapabilities,
    source: 'catalogue',
    created: 0,
    downloaded: true,
    ready: true,
    reason: null,
    path: '/nonexistent',
    quantization: null,
    aliases: [],
  };
}

export async function joined(segments: AsyncIterable<Segment>): Promise<string> {
  let text = '';
  for await (const segment of segments) text += segment.text;
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

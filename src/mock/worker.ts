import { randomUUID } from 'node:crypto';
import type { ModelEngine } from '../engine-table.ts';
import { asAsrproError } from '../errors.ts';
import type { LinkListener } from '../wire/link.ts';
import {
  type GatewayMessage,
  type LoadMessage,
  PROTOCOL,
  type TranscribeMessage,
  type WorkerMessage,
} from '../wire/messages.ts';
import type { StartWorker, WorkerHandle } from '../worker/handle.ts';
import { inspectAudio } from './audio.ts';
import { mockCapabilities } from './capabilities.ts';
import { type Scenario, scenarioOf } from './scenarios.ts';
import { segmentOf, sentences } from './transcript.ts';

/** Memory that the mock worker reports. */
const MEMORY_BYTES = 64 * 1024 * 1024;

type Death = Awaited<WorkerHandle['exited']>;

/**
 * Starts fake workers, which run in this process and send the same messages as a Python worker.
 *
 * @param pace seconds between two segments of `mock-slow`.
 */
export function createMockStarter(pace = 1): StartWorker {
  return async (engine) => startMockWorker(engine, pace);
}

function startMockWorker(engine: ModelEngine, pace: number): WorkerHandle {
  const token = randomUUID();
  const timers = new Map<string, NodeJS.Timeout | null>();
  let listener: LinkListener | null = null;
  let scenario: Scenario | null = null;
  let alive = true;
  let settleExit: (death: Death) => void = () => undefined;
  const exited = new Promise<Death>((resolve) => {
    settleExit = resolve;
  });

  const memoryBytes = (): number | null => (alive && scenario !== null ? MEMORY_BYTES : null);
  const say = (message: WorkerMessage): void => {
    if (alive) listener?.message(message);
  };
  const die = (death: Partial<Death>): void => {
    alive = false;
    for (const timer of timers.values()) clearTimeout(timer ?? undefined);
    settleExit({ code: null, signal: null, endedBy: 'itself', outOfMemory: false, lastWords: '', ...death });
  };

  const load = ({ request, model }: LoadMessage): void => {
    scenario = scenarioOf(model.id);
    say({ type: 'loading', request, phase: 'weights' });
    if (scenario.load === 'crash') return die({ code: 139, lastWords: 'Segmentation fault (mock)' });
    if (scenario.load === 'out-of-memory') return die({ signal: 'SIGKILL', endedBy: 'outside', outOfMemory: true });
    if (scenario.load === 'broken') {
      const message = "The file 'model.bin' is damaged. Verify or download the model again.";
      return say({ type: 'error', subject: request, code: 'model_broken', message, param: 'model' });
    }
    say({
      type: 'loaded',
      request,
      device: 'cpu',
      compute_type: 'int8',
      threads: 1,
      concurrency: 1,
      languages: model.languages ?? [],
      capabilities: {
        tasks: [...mockCapabilities.tasks],
        word_timestamps: mockCapabilities.wordTimestamps,
        logprobs: mockCapabilities.logprobs,
        ...{ prompt: true, temperature: true, hotwords: true, detects_language: true, neutral: [] },
      },
      memory_bytes: MEMORY_BYTES,
      seconds: 0,
    });
  };

  const transcribe = (message: TranscribeMessage): void => {
    const { job } = message;
    const kind = scenario?.job ?? 'echo';
    if (kind === 'busy') {
      return say({ type: 'error', subject: job, code: 'model_busy', message: 'The mock is always busy.', param: null });
    }
    const audio = inspectAudio(message.audio);
    say({ type: 'started', job, duration: audio.duration });
    const texts = sentences(message, audio, kind === 'slow');
    const next = (id: number): void => {
      const text = texts[id];
      if (text === undefined) {
        timers.delete(job);
        const language = message.task === 'translate' ? 'en' : (message.language ?? 'en');
        const { duration } = audio;
        return say({
          type: 'result',
          job,
          language,
          language_probability: 1,
          duration,
          skipped_packets: 0,
          timings: {},
        });
      }
      if (kind === 'crash' && id > 0) return die({ code: 134, lastWords: 'Aborted (mock)' });
      say({ type: 'segment', job, segment: segmentOf(text, id, texts.length, message, audio) });
      if (kind === 'hang') timers.set(job, null);
      else if (kind === 'slow')
        timers.set(
          job,
          setTimeout(() => next(id + 1), pace * 1000),
        );
      else next(id + 1);
    };
    next(0);
  };

  const receive = (message: GatewayMessage): void => {
    switch (message.type) {
      case 'load':
        return load(message);
      case 'transcribe':
        return transcribe(message);
      case 'cancel':
        // A hung engine does not react to a cancellation.
        if (scenario?.job === 'hang' || !timers.has(message.job)) return;
        clearTimeout(timers.get(message.job) ?? undefined);
        timers.delete(message.job);
        return say({ type: 'cancelled', job: message.job });
      case 'unload':
        say({ type: 'unloaded', request: message.request, memory_before: MEMORY_BYTES, memory_after: 0 });
        return die({ code: 0 });
      case 'probe': {
        const devices = message.devices.map((id) => ({
          id,
          usable: id === 'cpu',
          compute_types: id === 'cpu' ? ['int8'] : [],
          reason: id === 'cpu' ? null : 'The mock has no such device.',
        }));
        return say({ type: 'devices', request: message.request, devices });
      }
    }
  };

  return {
    pid: null,
    token,
    exited,
    link: {
      async send(message) {
        if (!alive) throw new Error('the mock worker is gone');
        // A real worker never answers before `send` has returned.
        setImmediate(() => {
          try {
            if (alive) receive(message);
          } catch (error) {
            const { code, message: text, param } = asAsrproError(error);
            say({
              type: 'error',
              subject: 'job' in message ? message.job : message.request,
              code,
              message: text,
              param,
            });
          }
        });
      },
      listen(newListener) {
        listener = newListener;
        setImmediate(() => say({ type: 'hello', protocol: PROTOCOL, token, pid: process.pid, engine, versions: {} }));
      },
      close() {},
    },
    signal: (signal) => {
      if (alive) die({ signal, endedBy: 'us' });
    },
    abandon() {},
    memoryBytes,
    footprint: () => ({ bytes: memoryBytes(), remaining: async () => memoryBytes() ?? 0 }),
  };
}

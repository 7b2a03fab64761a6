import { AsrproError, type ErrorCode, errorKinds } from '../errors.ts';
import type { Log } from '../log.ts';
import type { ModelEngine } from '../models/model.ts';
import {
  type GatewayMessage,
  type Loaded,
  type LoadMessage,
  PROTOCOL,
  type TranscribeMessage,
  type WorkerMessage,
} from '../wire/messages.ts';
import { type Channel, createChannel } from './channel.ts';
import { describeExit, type ExitReport } from './exit.ts';
import type { WorkerHandle } from './handle.ts';
import { climb, type Ladder, type Rung, shortLadder } from './kill-ladder.ts';
import { createWatchdog, type Watchdog } from './watchdog.ts';

export type WorkerState = 'starting' | 'ready' | 'stopping' | 'stopped' | 'crashed';

/** Every change of state that there is; anything else is a defect and throws. */
const transitions: Record<WorkerState, readonly WorkerState[]> = {
  starting: ['ready', 'stopping', 'crashed'],
  ready: ['stopping', 'crashed'],
  stopping: ['stopped'],
  stopped: [],
  crashed: [],
};

/** Messages of one job, from `started` to its `result`. */
export type JobMessage = Extract<WorkerMessage, { type: 'started' | 'segment' | 'result' }>;

export interface WorkerJob extends AsyncIterable<JobMessage> {
  /** Asks the engine to stop; the iteration ends with `cancelled`. Ends the worker when it does not obey in time. */
  cancel(): void;
}

export interface StopReport {
  exit: ExitReport;
  rung: Rung;
  /** Resident bytes just before; null when unknown. */
  memoryBytes: number | null;
  seconds: number;
}

/** Longest silence in seconds before the engine counts as hung. */
export interface Patience {
  hello: number;
  load: number;
  /** For a job over so much audio; null until its length is known. */
  job(audioSeconds: number | null): number;
  /** From a cancel to its acknowledgement. */
  cancel: number;
}

interface Pending {
  receive(message: WorkerMessage): void;
  fail(error: AsrproError): void;
}

/**
 * One worker generation: a process, the wire to it, and what is in hand there. It never comes back: after `stopped` or
 * `crashed` the supervisor starts another. Its own methods are the only writers of its state.
 */
export class Worker {
  readonly generation: number;
  readonly engine: ModelEngine;
  readonly exited: Promise<ExitReport>;
  readonly #handle: WorkerHandle;
  readonly #patience: Patience;
  readonly #log: Log;
  readonly #pending = new Map<string, Pending>();
  #state: WorkerState = 'starting';
  #settleHello: { resolve(): void; reject(error: AsrproError): void } | null = null;
  #stop: Promise<StopReport> | null = null;
  #requests = 0;
  #device = 'cpu';
  #condemned = false;

  constructor(handle: WorkerHandle, engine: ModelEngine, generation: number, patience: Patience, log: Log) {
    this.#handle = handle;
    this.engine = engine;
    this.generation = generation;
    this.#patience = patience;
    this.#log = log.child({ worker: generation });
    handle.link.listen({
      message: (message) => this.#receive(message),
      broken: (error) => {
        this.#log.error({ err: error }, 'the worker broke the protocol');
        this.kill();
      },
    });
    this.exited = handle.exited.then((exit) => this.#onExit(exit));
  }

  /** Takes requests; false as soon as its end is decided. */
  get usable(): boolean {
    return this.#state === 'ready' && !this.#condemned;
  }
  get state(): WorkerState {
    return this.#state;
  }
  get pid(): number | null {
    return this.#handle.pid;
  }
  get memoryBytes(): number | null {
    return this.#handle.memoryBytes();
  }
  /** The device that the model was asked to be put on. */
  get device(): string {
    return this.#device;
  }

  /** Resolves when the process has said who it is. Throws `worker_start_failed` with its last words. */
  async hello(): Promise<void> {
    const watchdog = createWatchdog(this.#patience.hello, () => this.kill());
    await new Promise<void>((resolve, reject) => {
      this.#settleHello = { resolve, reject };
    }).finally(() => watchdog.stop());
  }

  /** Loads and warms up. Throws what the engine says (`model_broken` …) or `worker_crashed`. */
  async load(message: Omit<LoadMessage, 'type' | 'request'>): Promise<Loaded> {
    this.#device = message.device;
    return (await this.#ask({ type: 'load', ...message }, 'loaded', this.#patience.load)) as Loaded;
  }

  /** Tests devices with a real inference. */
  async probe(devices: string[]): Promise<Extract<WorkerMessage, { type: 'devices' }>['devices']> {
    const answer = await this.#ask({ type: 'probe', devices }, 'devices', this.#patience.load);
    return (answer as Extract<WorkerMessage, { type: 'devices' }>).devices;
  }

  /** Starts a job. Errors come out of the iteration. */
  transcribe(message: Omit<TranscribeMessage, 'type'>): WorkerJob {
    const channel = createChannel<JobMessage>();
    let duration: number | null = null;
    const watchdog = createWatchdog(this.#patience.job(null), () => this.#hung(message.job));
    const finish = (end: () => void): void => {
      watchdog.stop();
      this.#pending.delete(message.job);
      end();
    };
    this.#pending.set(message.job, {
      receive: (answer) => {
        if (answer.type === 'started') duration = answer.duration;
        watchdog.touch(this.#patience.job(duration));
        receiveJob(answer, channel, finish);
      },
      fail: (error) => finish(() => channel.fail(error)),
    });
    this.#send({ type: 'transcribe', ...message });
    return {
      [Symbol.asyncIterator]: () => channel[Symbol.asyncIterator](),
      cancel: () => this.#cancel(message.job, watchdog),
    };
  }

  /** Ends the process rung by rung and waits for its exit. Several callers share one stop. */
  stop(ladder: Ladder): Promise<StopReport> {
    this.#stop ??= this.#climb(ladder);
    return this.#stop;
  }

  /** Ends a worker that cannot be talked to any more. Counts as a crash: nobody asked for this end. */
  kill(): void {
    this.#condemned = true;
    this.#handle.signal('SIGKILL');
  }

  async #climb(ladder: Ladder): Promise<StopReport> {
    const memoryBytes = this.memoryBytes;
    const begin = performance.now();
    if (this.#state === 'starting' || this.#state === 'ready') this.#become('stopping');
    const { exit, rung } = await climb(this.#state === 'stopping' ? ladder : shortLadder, {
      exited: this.exited,
      ask: () => this.#handle.link.send({ type: 'unload', request: this.#nextRequest() }),
      signal: (signal) => this.#handle.signal(signal),
    });
    return { exit, rung, memoryBytes, seconds: (performance.now() - begin) / 1000 };
  }

  async #ask(
    message: ({ type: 'load' } & Omit<LoadMessage, 'type' | 'request'>) | { type: 'probe'; devices: string[] },
    answer: WorkerMessage['type'],
    silenceSeconds: number,
  ): Promise<WorkerMessage> {
    const request = this.#nextRequest();
    const watchdog = createWatchdog(silenceSeconds, () => this.#hung(request));
    const answered = new Promise<WorkerMessage>((resolve, reject) => {
      this.#pending.set(request, {
        receive: (received) => {
          watchdog.touch(silenceSeconds);
          if (received.type === answer) resolve(received);
          else if (received.type === 'error') reject(engineError(received));
        },
        fail: reject,
      });
    });
    this.#send({ ...message, request } as GatewayMessage);
    return answered.finally(() => {
      watchdog.stop();
      this.#pending.delete(request);
    });
  }

  #cancel(job: string, watchdog: Watchdog): void {
    if (!this.#pending.has(job)) return;
    // Ending the worker costs the jobs beside this one a second run: they get more time to let it come to a stop.
    const patience = this.#patience.cancel * (this.#pending.size > 1 ? 10 : 1);
    watchdog.limit(patience, () => {
      this.#log.info({ job }, 'the engine did not stop in time; ending the worker');
      this.#pending.get(job)?.fail(new AsrproError('cancelled', 'The request was cancelled.'));
      void this.stop(shortLadder);
      // A politer stop that is under way already would keep its pace.
      this.#handle.signal('SIGKILL');
    });
    this.#send({ type: 'cancel', job });
  }

  /** The job's silence was too long: the engine hangs, and only the end of the process ends that. */
  #hung(subject: string): void {
    this.#log.error({ subject }, 'the engine gave no sign of life; ending the worker');
    const error = new AsrproError('worker_unresponsive', 'The engine made no progress in time and was ended.', {
      hint: 'Try a smaller model, or split the file.',
    });
    this.#pending.get(subject)?.fail(error);
    this.kill();
  }

  #send(message: GatewayMessage): void {
    // A failed send means that the process is going; its exit rejects everything in hand with the reason.
    this.#handle.link.send(message).catch((error: unknown) => this.#log.debug({ err: error }, 'message not delivered'));
  }

  #receive(message: WorkerMessage): void {
    if (message.type === 'hello') {
      if (message.token !== this.#handle.token || message.protocol !== PROTOCOL || this.#state !== 'starting') {
        this.#log.error({ protocol: message.protocol }, 'the worker speaks another protocol, or is not ours');
        this.kill();
        return;
      }
      this.#become('ready');
      this.#log.debug({ pid: message.pid, versions: message.versions }, 'worker is up');
      this.#settleHello?.resolve();
      return;
    }
    const subject = message.type === 'error' ? message.subject : 'job' in message ? message.job : message.request;
    const pending = this.#pending.get(subject);
    if (pending) pending.receive(message);
    else if (message.type !== 'unloaded') this.#log.debug({ type: message.type, subject }, 'late message dropped');
  }

  #onExit(exit: Omit<ExitReport, 'expected'>): ExitReport {
    const expected = this.#state === 'stopping';
    const report = { ...exit, expected };
    const wasStarting = this.#state === 'starting';
    this.#become(expected ? 'stopped' : 'crashed');
    if (!expected)
      this.#log.error({ ...exit, inHand: [...this.#pending.keys()] }, `the worker ${describeExit(report)}`);
    const error = crashError(report, wasStarting);
    this.#settleHello?.reject(error);
    for (const pending of [...this.#pending.values()]) pending.fail(error);
    return report;
  }

  #become(next: WorkerState): void {
    if (!transitions[this.#state].includes(next)) {
      throw new Error(`a worker cannot go from ${this.#state} to ${next}`);
    }
    this.#state = next;
  }

  #nextRequest(): string {
    this.#requests += 1;
    return `${this.generation}.${this.#requests}`;
  }
}

function receiveJob(message: WorkerMessage, channel: Channel<JobMessage>, finish: (end: () => void) => void): void {
  switch (message.type) {
    case 'started':
    case 'segment':
      channel.push(message);
      break;
    case 'result':
      channel.push(message);
      finish(() => channel.end());
      break;
    case 'cancelled':
      finish(() => channel.fail(new AsrproError('cancelled', 'The request was cancelled.')));
      break;
    case 'error':
      finish(() => channel.fail(engineError(message)));
      break;
  }
}

function engineError(message: Extract<WorkerMessage, { type: 'error' }>): AsrproError {
  const code = message.code in errorKinds ? (message.code as ErrorCode) : 'internal_error';
  return new AsrproError(code, message.message, message.param === null ? {} : { param: message.param });
}

function crashError(exit: ExitReport, wasStarting: boolean): AsrproError {
  if (exit.outOfMemory) {
    return new AsrproError('out_of_memory', 'The worker ran out of memory.', {
      hint: 'Choose a smaller model or compute type, or close other programs.',
      cause: exit,
    });
  }
  const [code, when] = wasStarting
    ? (['worker_start_failed', 'while it started'] as const)
    : (['worker_crashed', 'before it answered'] as const);
  return new AsrproError(code, `The worker process ${describeExit(exit)} ${when}.`, { cause: exit });
}

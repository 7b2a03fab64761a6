import type { ModelEngine } from '../engine-table.ts';
import { AsrproError, type ErrorCode, errorKinds } from '../errors.ts';
import type { Log } from '../log.ts';
import {
  type ClusterReport,
  type GatewayMessage,
  type Loaded,
  type LoadMessage,
  PROTOCOL,
  type TranscribeMessage,
  type WorkerMessage,
} from '../wire/messages.ts';
import { type Channel, createChannel } from './channel.ts';
import { describeExit, type ExitReport, publicWords } from './exit.ts';
import type { WorkerHandle } from './handle.ts';
import { climb, type Ladder, politeLadder, type Rung, shortLadder } from './kill-ladder.ts';
import type { Footprint } from './memory.ts';
import { createWatchdog, type Watchdog } from './watchdog.ts';

/** A head that is started anew is there after so many seconds at the earliest. */
const CLUSTER_RETRY_SECONDS = 5;

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
  /** null: it was killed and is still there. */
  exit: ExitReport | null;
  rung: Rung;
  seconds: number;
}

/**
 * What its owner hears at once, before anybody who waits for an answer of it. The worker never ends itself: that is the
 * owner's to decide.
 */
export interface WorkerEvents {
  /** It is not one of ours, or talks nonsense; what was in hand has failed. */
  broken(error: AsrproError): void;
  /** A job was cancelled and does not stop. */
  deaf(job: string): void;
  /** A job gave no sign of life for too long; it has failed, and the engine is still in it. */
  hung(job: string): void;
  /** What it says of the cluster that it works on. */
  cluster(report: ClusterReport): void;
  /** @param error what those in hand get. */
  exited(exit: ExitReport, error: AsrproError): void;
}

/** Longest silence in seconds before the engine counts as hung. */
export interface Patience {
  hello: number;
  load: number;
  /** For a job over so much audio; null until its length is known. */
  job(audioSeconds: number | null): number;
  /** From a cancel to its acknowledgement. */
  cancel: number;
  /** From a kill to the exit. */
  kill: number;
}

interface Pending {
  receive(message: WorkerMessage): void;
  fail(error: AsrproError): void;
}

/**
 * One worker generation: a process, the wire to it, and what is in hand there. It never comes back: after `stopped` or
 * `crashed` its owner starts another. Its own methods are the only writers of its state.
 */
export class Worker {
  readonly generation: number;
  readonly engine: ModelEngine;
  readonly exited: Promise<ExitReport>;
  readonly #handle: WorkerHandle;
  readonly #patience: Patience;
  readonly #log: Log;
  readonly #events: Partial<WorkerEvents>;
  readonly #pending = new Map<string, Pending>();
  #state: WorkerState = 'starting';
  #settleHello: { resolve(): void; reject(error: AsrproError): void } | null = null;
  #stop: Promise<StopReport> | null = null;
  #requests = 0;
  #device = 'cpu';
  #onCluster = false;
  /** Why the cluster that it works on is out of reach, by its last word; null: it is not, or there is none. */
  #cutOff: string | null = null;
  #unloaded: { before: number; after: number } | null = null;

  constructor(
    handle: WorkerHandle,
    engine: ModelEngine,
    generation: number,
    patience: Patience,
    log: Log,
    events: Partial<WorkerEvents> = {},
  ) {
    this.#handle = handle;
    this.engine = engine;
    this.generation = generation;
    this.#patience = patience;
    this.#log = log.child({ worker: generation });
    this.#events = events;
    handle.link.listen({
      message: (message) => this.#receive(message),
      broken: (error) => this.#break('broke the protocol', { err: error }),
    });
    this.exited = handle.exited.then((exit) => this.#onExit(exit));
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

  footprint(): Footprint {
    return this.#handle.footprint();
  }
  /** Memory with that of its replicas on other machines, by its last word; null: it has no replicas, or said nothing. */
  get unloaded(): { before: number; after: number } | null {
    return this.#onCluster ? this.#unloaded : null;
  }

  /** Resolves when the process has said who it is. Throws `worker_start_failed`, with its last words where it ended. */
  async hello(): Promise<void> {
    const seconds = this.#patience.hello;
    const watchdog = createWatchdog(seconds, () => this.#break(`was not ready within ${seconds} s`));
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
    const watchdog = createWatchdog(this.#patience.job(null), () => {
      this.#events.hung?.(message.job);
      this.#hung(message.job);
    });
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

  /**
   * Asks the process to end, for `graceSeconds` each way, or kills it, and waits for its exit, though not for ever. Several
   * callers share one stop; a later kill does not keep the pace of a politer one.
   */
  stop(how: 'kill' | { graceSeconds: number }): Promise<StopReport> {
    const { kill } = this.#patience;
    if (this.#stop !== null && how === 'kill') this.#handle.signal('SIGKILL');
    this.#stop ??= this.climb(how === 'kill' ? shortLadder(kill) : politeLadder(how.graceSeconds, kill));
    return this.#stop;
  }

  /** Ends the process rung by rung. */
  async climb(ladder: Ladder): Promise<StopReport> {
    const begin = performance.now();
    if (this.#state === 'starting' || this.#state === 'ready') this.#become('stopping');
    const { exit, rung } = await climb(this.#state === 'stopping' ? ladder : shortLadder(this.#patience.kill), {
      exited: this.exited,
      ask: () => this.#handle.link.send({ type: 'unload', request: this.#nextRequest() }),
      signal: (signal) => this.#handle.signal(signal),
    });
    if (exit === null) this.#handle.abandon();
    return { exit, rung, seconds: (performance.now() - begin) / 1000 };
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
    watchdog.limit(this.#patience.cancel, () => {
      this.#log.info({ job }, 'the engine did not stop in time');
      this.#events.deaf?.(job);
    });
    this.#send({ type: 'cancel', job });
  }

  /** The silence was too long: the engine hangs, and only the end of the process ends that. */
  #hung(subject: string): void {
    this.#log.error({ subject }, 'the engine gave no sign of life');
    const error = new AsrproError('worker_unresponsive', 'The engine made no progress in time and was ended.', {
      hint: 'Try a smaller model, or split the file.',
    });
    this.#pending.get(subject)?.fail(error);
  }

  /** @param what it did, as the middle of a sentence. */
  #break(what: string, details: object = {}): void {
    this.#log.error(details, `the worker ${what}`);
    const error = new AsrproError(this.#crashCode(), `The worker process ${what}.`);
    this.#events.broken?.(error);
    this.#fail(error);
  }

  #fail(error: AsrproError): void {
    this.#settleHello?.reject(error);
    for (const pending of [...this.#pending.values()]) pending.fail(error);
  }

  #crashCode(): 'worker_start_failed' | 'worker_crashed' {
    return this.#state === 'starting' ? 'worker_start_failed' : 'worker_crashed';
  }

  #send(message: GatewayMessage): void {
    // A failed send means that the process is going; its exit rejects everything in hand with the reason.
    this.#handle.link.send(message).catch((error: unknown) => this.#log.debug({ err: error }, 'message not delivered'));
  }

  #receive(message: WorkerMessage): void {
    if (message.type === 'hello') {
      // It was told to end before it had spoken.
      if (this.#state === 'stopping') return;
      if (message.token !== this.#handle.token || message.protocol !== PROTOCOL || this.#state !== 'starting') {
        this.#break('speaks another protocol, or is not ours', { protocol: message.protocol });
        return;
      }
      this.#become('ready');
      this.#log.debug({ pid: message.pid, versions: message.versions }, 'worker is up');
      this.#settleHello?.resolve();
      return;
    }
    if (message.type === 'cluster') {
      const { type: _, ...report } = message;
      this.#onCluster = true;
      this.#cutOff = report.reachable ? null : (report.reason ?? 'The cluster is out of reach.');
      this.#events.cluster?.(report);
      return;
    }
    if (message.type === 'unloaded') {
      this.#unloaded = { before: message.memory_before, after: message.memory_after };
      return;
    }
    const subject = message.type === 'error' ? message.subject : 'job' in message ? message.job : message.request;
    const pending = this.#pending.get(subject);
    if (pending) pending.receive(message);
    else this.#log.debug({ type: message.type, subject }, 'late message dropped');
  }

  #onExit(exit: ExitReport): ExitReport {
    const stopped = this.#state === 'stopping';
    // One that was asked to end may do so with any code.
    const report: ExitReport = stopped ? { ...exit, endedBy: 'us', outOfMemory: false } : exit;
    const error = this.#cutOff === null ? crashError(report, this.#crashCode()) : clusterGone(this.#cutOff);
    this.#become(stopped ? 'stopped' : 'crashed');
    if (!stopped) this.#log.error({ ...exit, inHand: [...this.#pending.keys()] }, `the worker ${describeExit(report)}`);
    this.#events.exited?.(report, error);
    this.#fail(error);
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

/** A worker whose cluster is gone cannot do anything, and does not live long: that says nothing about the model. */
export function clusterGone(reason: string): AsrproError {
  return new AsrproError('cluster_unreachable', reason, { retryAfterSeconds: CLUSTER_RETRY_SECONDS });
}

function engineError(message: Extract<WorkerMessage, { type: 'error' }>): AsrproError {
  const code = Object.hasOwn(errorKinds, message.code) ? (message.code as ErrorCode) : 'internal_error';
  return new AsrproError(code, message.message, message.param === null ? {} : { param: message.param });
}

function crashError(exit: ExitReport, code: 'worker_start_failed' | 'worker_crashed'): AsrproError {
  if (exit.outOfMemory) {
    return new AsrproError('out_of_memory', 'The worker ran out of memory.', {
      hint: 'Choose a smaller model or compute type, or close other programs.',
      cause: exit,
    });
  }
  const end = `The worker process ${describeExit(exit)}`;
  if (code === 'worker_crashed') return new AsrproError(code, `${end} before it answered.`, { cause: exit });
  const words = publicWords(exit.lastWords);
  return new AsrproError(code, `${end} while it started${words === '' ? '.' : `: ${words}`}`, { cause: exit });
}

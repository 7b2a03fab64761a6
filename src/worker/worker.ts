import type { ModelEngine } from '../engine-table.ts';
import { AsrproError } from '../errors.ts';
import type { Log } from '../log.ts';
import {
  type ClusterReport,
  type GatewayMessage,
  type Loaded,
  type LoadMessage,
  PROTOCOL,
  type ProbedDevice,
  type TranscribeMessage,
  type WorkerMessage,
} from '../wire/messages.ts';
import { type Channel, createChannel } from './channel.ts';
import { describeExit, type ExitReport } from './exit.ts';
import type { WorkerHandle } from './handle.ts';
import { askFirst, type Escalation, escalate, type KillStep, killAtOnce } from './kill-escalation.ts';
import type { Footprint } from './memory.ts';
import { createWatchdog, type Watchdog } from './watchdog.ts';
import { within } from './within.ts';
import { type CrashCode, clusterUnreachable, engineError, exitError, unresponsive } from './worker-errors.ts';

/** How long the last message of a process may arrive after its exit was seen, in seconds. */
const LAST_MESSAGE_SECONDS = 0.5;

type WorkerState = 'starting' | 'ready' | 'stopping' | 'stopped' | 'crashed';

/** Every allowed change of state; any other is a bug and throws. */
export const transitions: Record<WorkerState, readonly WorkerState[]> = {
  starting: ['ready', 'stopping', 'crashed'],
  ready: ['stopping', 'crashed'],
  stopping: ['stopped'],
  stopped: [],
  crashed: [],
};

/** Messages of one job, from `started` to its `result`. */
export type JobMessage = Extract<WorkerMessage, { type: 'started' | 'segment' | 'result' }>;

/** One run of a job on this worker. Errors come out of the iteration. */
export interface JobRun extends AsyncIterable<JobMessage> {
  /** Asks the engine to stop. The iteration then ends with `cancelled`, or the owner hears `ignoredCancel`. */
  cancel(): void;
}

/** How a worker was ended. `exit` is null when it was killed but the process still exists. */
type StopReport = { exit: ExitReport | null; step: KillStep };

/**
 * Reported to the owner before anything that waits for the worker is rejected. The worker never ends itself: the owner
 * decides that.
 */
export interface WorkerEvents {
  /** It is not the process that was started, or broke the protocol. Everything that waited for it has failed. */
  unusable(error: AsrproError): void;
  /** A job was cancelled but does not stop. */
  ignoredCancel(job: string): void;
  /** A job made no progress for too long. It has failed, but the engine still works on it. */
  hung(job: string): void;
  cluster(report: ClusterReport): void;
  /** @param error what everything that waits for the worker is rejected with. */
  exited(exit: ExitReport, error: AsrproError): void;
}

/** How many seconds the gateway waits before it treats the engine as hung. */
export interface Timeouts {
  hello: number;
  load: number;
  /** Between two messages of a job. @param audioSeconds null until the length is known. */
  job(audioSeconds: number | null): number;
  /** From a cancel to its acknowledgement. */
  cancel: number;
  /** From a kill to the exit. */
  kill: number;
}

/** A job or a request that waits for messages of the worker. */
interface Pending {
  receive(message: WorkerMessage): void;
  fail(error: AsrproError): void;
}

/**
 * One worker generation: a process, the link to it, and the jobs and requests in progress. After `stopped` or `crashed`
 * it is never used again; its owner starts a new one. Only its own methods change its state.
 */
export class Worker {
  readonly generation: number;
  readonly engine: ModelEngine;
  readonly exited: Promise<ExitReport>;
  readonly #handle: WorkerHandle;
  readonly #timeouts: Timeouts;
  readonly #log: Log;
  readonly #events: Partial<WorkerEvents>;
  readonly #pending = new Map<string, Pending>();
  readonly #hello = Promise.withResolvers<void>();
  readonly #unloaded = Promise.withResolvers<{ before: number; after: number }>();
  #state: WorkerState = 'starting';
  #stop: Promise<StopReport> | null = null;
  #requests = 0;
  #device = 'cpu';
  #onCluster = false;
  /** Why its cluster is unreachable; null: it is reachable, or the worker has none. */
  #clusterError: string | null = null;

  constructor(
    handle: WorkerHandle,
    engine: ModelEngine,
    generation: number,
    timeouts: Timeouts,
    log: Log,
    events: Partial<WorkerEvents> = {},
  ) {
    this.#handle = handle;
    this.engine = engine;
    this.generation = generation;
    this.#timeouts = timeouts;
    this.#log = log.child({ worker: generation });
    this.#events = events;
    // It may fail before `hello` is called.
    this.#hello.promise.catch(() => undefined);
    handle.link.listen({
      message: (message) => this.#receive(message),
      protocolError: (error) => this.#becomeUnusable('broke the protocol', { err: error }),
    });
    this.exited = handle.exited.then((exit) => this.#onExit(exit));
  }

  get state(): WorkerState {
    return this.#state;
  }
  get hasExited(): boolean {
    return this.#state === 'stopped' || this.#state === 'crashed';
  }
  get pid(): number | null {
    return this.#handle.pid;
  }
  get memoryBytes(): number | null {
    return this.#handle.memoryBytes();
  }
  /** The device requested for the model. */
  get device(): string {
    return this.#device;
  }

  footprint(): Footprint {
    return this.#handle.footprint();
  }

  /**
   * After the exit: memory before and after the unload, with replicas on other machines. null: it has no replicas, or did
   * not report their memory. On a busy machine the exit of the process is seen before its last message.
   */
  async unloaded(): Promise<{ before: number; after: number } | null> {
    return this.#onCluster ? await within(this.#unloaded.promise, LAST_MESSAGE_SECONDS) : null;
  }

  /** Resolves when the process has identified itself. Throws `worker_start_failed` with the last line of its output. */
  async hello(): Promise<void> {
    const seconds = this.#timeouts.hello;
    const watchdog = createWatchdog(seconds, () => this.#becomeUnusable(`was not ready within ${seconds} s`));
    await this.#hello.promise.finally(() => watchdog.stop());
  }

  /** Loads the model and warms it up. Throws the engine's error (`model_broken` …) or `worker_crashed`. */
  async load(message: Omit<LoadMessage, 'type' | 'request'>): Promise<Loaded> {
    this.#device = message.device;
    return await this.#ask({ type: 'load', ...message }, 'loaded', this.#timeouts.load);
  }

  /** Tests devices with a real inference. */
  async probe(devices: string[]): Promise<ProbedDevice[]> {
    return (await this.#ask({ type: 'probe', devices }, 'devices', this.#timeouts.load)).devices;
  }

  transcribe(message: Omit<TranscribeMessage, 'type'>): JobRun {
    const { job } = message;
    const channel = createChannel<JobMessage>();
    let duration: number | null = null;
    const watchdog = createWatchdog(this.#timeouts.job(null), () => {
      this.#events.hung?.(job);
      this.#failUnresponsive(job);
    });
    const finish = (end: () => void): void => {
      watchdog.stop();
      this.#pending.delete(job);
      end();
    };
    this.#pending.set(job, {
      receive: (answer) => {
        if (answer.type === 'started') duration = answer.duration;
        watchdog.touch(this.#timeouts.job(duration));
        receiveJob(answer, channel, finish);
      },
      fail: (error) => finish(() => channel.fail(error)),
    });
    this.#send({ type: 'transcribe', ...message });
    return {
      [Symbol.asyncIterator]: () => channel[Symbol.asyncIterator](),
      cancel: () => this.#cancel(job, watchdog),
    };
  }

  /**
   * Asks the process to exit and escalates, with `graceSeconds` for each polite step, or kills it at once. All callers
   * share one stop; a later kill takes effect at once. Resolves even when the process does not exit.
   */
  stop(how: 'kill' | { graceSeconds: number }): Promise<StopReport> {
    const { kill } = this.#timeouts;
    if (this.#stop !== null && how === 'kill') this.#handle.signal('SIGKILL');
    this.#stop ??= this.escalate(how === 'kill' ? killAtOnce(kill) : askFirst(how.graceSeconds, kill));
    return this.#stop;
  }

  async escalate(escalation: Escalation): Promise<StopReport> {
    if (this.#state === 'starting' || this.#state === 'ready') this.#become('stopping');
    const report = await escalate(this.#state === 'stopping' ? escalation : killAtOnce(this.#timeouts.kill), {
      exited: this.exited,
      ask: () => this.#handle.link.send({ type: 'unload', request: this.#nextRequest() }),
      signal: (signal) => this.#handle.signal(signal),
    });
    if (report.exit === null) this.#handle.abandon();
    return report;
  }

  async #ask<T extends 'loaded' | 'devices'>(
    message: ({ type: 'load' } & Omit<LoadMessage, 'type' | 'request'>) | { type: 'probe'; devices: string[] },
    answer: T,
    silenceSeconds: number,
  ): Promise<Extract<WorkerMessage, { type: T }>> {
    const request = this.#nextRequest();
    const watchdog = createWatchdog(silenceSeconds, () => this.#failUnresponsive(request));
    const { promise, resolve, reject } = Promise.withResolvers<Extract<WorkerMessage, { type: T }>>();
    this.#pending.set(request, {
      receive: (received) => {
        watchdog.touch(silenceSeconds);
        if (received.type === answer) resolve(received as Extract<WorkerMessage, { type: T }>);
        else if (received.type === 'error') reject(engineError(received));
      },
      fail: reject,
    });
    this.#send({ ...message, request } as GatewayMessage);
    return promise.finally(() => {
      watchdog.stop();
      this.#pending.delete(request);
    });
  }

  #cancel(job: string, watchdog: Watchdog): void {
    if (!this.#pending.has(job)) return;
    watchdog.limit(this.#timeouts.cancel, () => {
      this.#log.info({ job }, 'the engine did not stop in time');
      this.#events.ignoredCancel?.(job);
    });
    this.#send({ type: 'cancel', job });
  }

  /** Fails a job or request. The engine still works on it; only the end of the process ends that. */
  #failUnresponsive(subject: string): void {
    this.#log.error({ subject }, 'the engine made no progress in time');
    this.#pending.get(subject)?.fail(unresponsive());
  }

  /** @param what it did, as a verb phrase. */
  #becomeUnusable(what: string, details: object = {}): void {
    this.#log.error(details, `the worker ${what}`);
    const error = new AsrproError(this.#crashCode(), `The worker process ${what}.`);
    this.#events.unusable?.(error);
    this.#failAll(error);
  }

  #failAll(error: AsrproError): void {
    this.#hello.reject(error);
    for (const pending of [...this.#pending.values()]) pending.fail(error);
  }

  #crashCode(): CrashCode {
    return this.#state === 'starting' ? 'worker_start_failed' : 'worker_crashed';
  }

  #send(message: GatewayMessage): void {
    // A send fails when the process is exiting; its exit rejects everything that waits, with the reason.
    this.#handle.link.send(message).catch((error: unknown) => this.#log.debug({ err: error }, 'message not delivered'));
  }

  #receive(message: WorkerMessage): void {
    if (this.hasExited && message.type !== 'unloaded') return;
    switch (message.type) {
      case 'hello':
        return this.#receiveHello(message);
      case 'cluster': {
        const { type: _, ...report } = message;
        this.#onCluster = true;
        this.#clusterError = report.reachable ? null : (report.reason ?? 'The cluster is unreachable.');
        return this.#events.cluster?.(report);
      }
      case 'unloaded':
        return this.#unloaded.resolve({ before: message.memory_before, after: message.memory_after });
    }
    const subject = message.type === 'error' ? message.subject : 'job' in message ? message.job : message.request;
    const pending = this.#pending.get(subject);
    if (pending) pending.receive(message);
    else this.#log.debug({ type: message.type, subject }, 'late message dropped');
  }

  #receiveHello({ token, protocol, pid, versions }: Extract<WorkerMessage, { type: 'hello' }>): void {
    // It was stopped before it sent its hello.
    if (this.#state === 'stopping') return;
    if (token !== this.#handle.token || protocol !== PROTOCOL || this.#state !== 'starting') {
      return this.#becomeUnusable('speaks another protocol, or is not ours', { protocol });
    }
    this.#become('ready');
    this.#log.debug({ pid, versions }, 'worker is ready');
    this.#hello.resolve();
  }

  #onExit(exit: ExitReport): ExitReport {
    const stopped = this.#state === 'stopping';
    // A worker that was asked to exit may do so with any code.
    const report: ExitReport = stopped ? { ...exit, endedBy: 'us', outOfMemory: false } : exit;
    const lostCluster = this.#clusterError;
    const error = lostCluster === null ? exitError(report, this.#crashCode()) : clusterUnreachable(lostCluster);
    this.#become(stopped ? 'stopped' : 'crashed');
    const inProgress = [...this.#pending.keys()];
    if (!stopped) this.#log.error({ ...exit, inProgress }, `the worker ${describeExit(report)}`);
    this.#events.exited?.(report, error);
    this.#failAll(error);
    // On a cluster `unloaded` may still arrive; the handle closes the link a second later.
    if (!this.#onCluster) this.#handle.link.close();
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

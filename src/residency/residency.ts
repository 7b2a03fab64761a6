import { AsrproError, asAsrproError } from '../errors.ts';
import type { Log } from '../log.ts';
import type { Model, ModelEngine } from '../models/model.ts';
import type { Supervisor } from '../worker/supervisor.ts';
import { type Decision, decide, type Head } from './decide.ts';
import { Job, type JobOrder } from './job.ts';
import { Rate } from './rate.ts';
import { requireReady } from './readiness.ts';
import { ResidentModel, type ResidentModelOptions } from './resident-model.ts';
import type { Jobs, LoadReport, Reservation, Residency, UnloadReport } from './types.ts';

export interface ResidencyOptions extends Omit<ResidentModelOptions, 'onGone'> {
  supervisor: Supervisor;
  log: Log;
  maxQueue: number;
  queueSeconds: number;
  drainSeconds: number;
  /** Throws `engine_not_installed`. */
  requireEngine(engine: ModelEngine): Promise<void>;
  /** A model was loaded because somebody asked for it by name: it is remembered as the selected one. */
  onSelected(model: Model): void;
}

/** A load, an unload or exclusive work, in line before all jobs. */
type CommandHead = { kind: 'load'; model: string; target: Model } | { kind: 'unload'; model: string | null };
type Command = CommandHead & { run(): Promise<void>; refuse(error: AsrproError): void };

interface QueuedJob {
  job: Job;
  /** Ends the wait, and the place in the queue. */
  leave(): void;
}

/**
 * Queue and scheduler of the one resident model. Every event (a job arrives, ends, is cancelled; a worker is loaded or
 * gone) calls `#pump`, which asks `decide` what to do now and does it; nothing else starts anything.
 */
export class ModelResidency implements Residency, Jobs {
  readonly #options: ResidencyOptions;
  readonly #resident: ResidentModel;
  readonly #rate = new Rate();
  readonly #commands: Command[] = [];
  readonly #waiting: QueuedJob[] = [];
  readonly #running = new Set<Job>();
  #reserved = 0;
  #jobs = 0;
  #commandRunning = false;
  #drainTimer: NodeJS.Timeout | null = null;
  #closing = false;

  constructor(options: ResidencyOptions) {
    this.#options = options;
    this.#resident = new ResidentModel({ ...options, onGone: () => this.#pump() });
  }

  status(): ReturnType<Residency['status']> {
    return this.#resident.describe();
  }

  health(): ReturnType<Residency['health']> {
    return {
      worker: this.#options.supervisor.health(),
      queue: { running: this.#running.size, waiting: this.#reserved, limit: this.#options.maxQueue },
    };
  }

  intendedModel(): string | null {
    const next = this.#commands.findLast((command) => command.kind === 'load');
    if (next !== undefined) return next.model;
    return this.#resident.status === 'unloading' ? null : (this.#resident.model?.id ?? null);
  }

  load(model: Model): Promise<LoadReport> {
    return this.#command({ kind: 'load', model: model.id, target: model }, async () => {
      await requireReady(model, this.#options.requireEngine, { again: true });
      this.#resident.forgive(model.id);
      const report = await this.#resident.load(model);
      this.#options.onSelected(model);
      return report;
    });
  }

  unload(): Promise<UnloadReport> {
    return this.#command({ kind: 'unload', model: null }, () => this.#resident.unload());
  }

  whileUnloaded<T>(modelId: string, action: () => Promise<T>): Promise<T> {
    return this.#command({ kind: 'unload', model: modelId }, async () => {
      if (this.#resident.model?.id === modelId) await this.#resident.unload();
      return action();
    });
  }

  reserve(): Reservation {
    this.#requireOpen();
    const room = this.#options.maxQueue + this.#resident.concurrency;
    if (this.#reserved + this.#running.size >= room) {
      throw new AsrproError('queue_full', `The queue is full: ${this.#reserved} requests are waiting.`, {
        retryAfterSeconds: this.#rate.retryAfterSeconds(this.#reserved, this.#resident.concurrency),
      });
    }
    const release = this.#takePlace();
    return { release, start: (order, signal) => this.#enqueue(order, signal, release) };
  }

  async close(drainSeconds: number): Promise<void> {
    this.#closing = true;
    const error = stopping();
    for (const command of this.#commands.splice(0)) command.refuse(error);
    for (const { job } of this.#waiting) job.fail(error);
    this.#dropEnded();
    const late = setTimeout(() => {
      for (const job of this.#running) job.fail(error);
    }, drainSeconds * 1000);
    await Promise.allSettled([...this.#running].map((job) => job.result));
    clearTimeout(late);
    await this.#resident.close();
  }

  async #enqueue(order: JobOrder, signal: AbortSignal, release: () => void): ReturnType<Reservation['start']> {
    await requireReady(order.model, this.#options.requireEngine);
    if (this.#resident.model?.id !== order.model.id) this.#resident.check(order.model.id);
    this.#requireOpen();
    const job = new Job(order);
    const onAbort = (): void => {
      job.fail(new AsrproError('client_closed', 'The client went away.'));
      this.#pump();
    };
    if (signal.aborted) onAbort();
    signal.addEventListener('abort', onAbort, { once: true });
    void job.result.catch(() => undefined).finally(() => signal.removeEventListener('abort', onAbort));
    this.#queue(job, release, 'last');
    this.#pump();
    await job.started;
    return { segments: job.segments, result: job.result };
  }

  #takePlace(): () => void {
    this.#reserved += 1;
    let held = true;
    return () => {
      if (held) this.#reserved -= 1;
      held = false;
    };
  }

  #queue(job: Job, release: () => void, place: 'first' | 'last'): void {
    const timer = setTimeout(() => {
      const busy = this.#resident.status === 'loaded' ? 'for a free place' : 'for the model to be loaded';
      job.fail(this.#tooLate('queue_timeout', `The request waited ${this.#options.queueSeconds} s ${busy}.`));
      this.#pump();
    }, this.#options.queueSeconds * 1000);
    const leave = (): void => {
      clearTimeout(timer);
      release();
    };
    if (place === 'first') this.#waiting.unshift({ job, leave });
    else this.#waiting.push({ job, leave });
  }

  #tooLate(code: 'queue_timeout' | 'model_busy', message: string): AsrproError {
    return new AsrproError(code, message, {
      retryAfterSeconds: this.#rate.retryAfterSeconds(this.#reserved, this.#resident.concurrency),
    });
  }

  #command<T>(head: CommandHead, run: () => Promise<T>): Promise<T> {
    this.#requireOpen();
    return new Promise<T>((resolve, reject) => {
      const command: Command = { ...head, run: () => run().then(resolve, reject), refuse: reject };
      this.#commands.push(command);
      if (head.kind === 'load') this.#limitWait(command);
      this.#pump();
    });
  }

  /** An unload ends running jobs after a while; a load waits for them, but not for ever. */
  #limitWait(command: Command): void {
    setTimeout(() => {
      const place = this.#commands.indexOf(command);
      if (place < 0) return;
      this.#commands.splice(place, 1);
      command.refuse(
        this.#tooLate('model_busy', `Running requests did not end within ${this.#options.queueSeconds} s.`),
      );
      this.#pump();
    }, this.#options.queueSeconds * 1000).unref();
  }

  #requireOpen(): void {
    if (this.#closing) throw stopping();
  }

  /** Acts until the next step has to wait for an event. */
  #pump(): void {
    this.#dropEnded();
    if (this.#commandRunning || this.#closing) return;
    const decision = decide({
      resident: { status: this.#resident.status, model: this.#resident.model?.id ?? null },
      concurrency: this.#resident.concurrency,
      running: this.#running.size,
      runningAlone: [...this.#running].some((job) => job.alone),
      head: this.#head(),
    });
    if (decision.act !== 'drain') this.#stopDrainTimer();
    this.#act(decision);
  }

  #act(decision: Decision): void {
    const [command] = this.#commands;
    const target = command?.kind === 'load' ? command.target : this.#waiting[0]?.job.order.model;
    switch (decision.act) {
      case 'wait':
        break;
      case 'start job':
        this.#startJob();
        this.#pump();
        break;
      case 'prepare':
        if (target) this.#resident.prepare(target);
        break;
      case 'drain':
        this.#drainTimer ??= setTimeout(() => this.#endRunning(), this.#options.drainSeconds * 1000);
        break;
      case 'load':
        if (command === undefined && target) void this.#loadForJob(target);
        else void this.#runCommand();
        break;
      case 'unload':
      case 'finish command':
        void this.#runCommand();
        break;
    }
  }

  async #runCommand(): Promise<void> {
    const command = this.#commands.shift()!;
    this.#commandRunning = true;
    await command.run();
    this.#commandRunning = false;
    this.#pump();
  }

  /** A job at the head of the queue needs its model. Where that fails, all jobs that wait for this model fail with it. */
  async #loadForJob(model: Model): Promise<void> {
    try {
      await this.#resident.load(model);
    } catch (error) {
      for (const { job } of this.#waiting) {
        if (job.order.model.id === model.id) job.fail(asAsrproError(error));
      }
    }
    this.#pump();
  }

  #startJob(): void {
    const { job, leave } = this.#waiting.shift()!;
    leave();
    this.#running.add(job);
    void this.#run(job);
  }

  async #run(job: Job): Promise<void> {
    this.#jobs += 1;
    const begin = performance.now();
    const outcome = await job.run(this.#resident.worker!, `job-${this.#jobs}`);
    this.#running.delete(job);
    if (outcome === 'again') {
      job.alone = true;
      this.#queue(job, this.#takePlace(), 'first');
    } else {
      this.#rate.note((performance.now() - begin) / 1000);
    }
    this.#pump();
  }

  #endRunning(): void {
    for (const job of this.#running) {
      job.fail(
        new AsrproError('model_unloaded', 'The model was unloaded on request while this job ran.', {
          retryAfterSeconds: 1,
        }),
      );
    }
  }

  #stopDrainTimer(): void {
    if (this.#drainTimer !== null) clearTimeout(this.#drainTimer);
    this.#drainTimer = null;
  }

  #dropEnded(): void {
    for (let index = this.#waiting.length - 1; index >= 0; index -= 1) {
      const { job, leave } = this.#waiting[index]!;
      if (!job.ended) continue;
      leave();
      this.#waiting.splice(index, 1);
    }
  }

  #head(): Head | null {
    const [command] = this.#commands;
    if (command !== undefined) return command;
    const [first] = this.#waiting;
    return first === undefined ? null : { kind: 'job', model: first.job.order.model.id, alone: first.job.alone };
  }
}

function stopping(): AsrproError {
  return new AsrproError('shutting_down', 'The server is stopping.', { retryAfterSeconds: 5 });
}

import type { ModelEngine } from '../engine-table.ts';
import { type AsrproError, asAsrproError } from '../errors.ts';
import type { Log } from '../log.ts';
import type { Model } from '../models/model.ts';
import type { ClusterReport, Loaded } from '../wire/messages.ts';
import type { StartWorker, WorkerHandle } from '../worker/handle.ts';
import { within } from '../worker/within.ts';
import { type Timeouts, Worker } from '../worker/worker.ts';
import type { Job } from './job.ts';
import { type MemoryBefore, measureMemory, nothingUnloaded } from './memory-report.ts';
import { requireReady } from './readiness.ts';
import type { Effect, EndedWorker, Event, LoadSettings } from './state.ts';
import type { UnloadReport } from './types.ts';

export interface EffectOptions {
  log: Log;
  start: StartWorker;
  timeouts: Timeouts;
  stopSeconds: number;
  /** Throws `engine_not_installed`. */
  requireEngine(engine: ModelEngine): Promise<void>;
  /** Chooses device, compute type and threads for a load. */
  loadSettings(model: Model): Promise<LoadSettings>;
  /** The model that requests without a model's name get has changed; null: none is selected. */
  onSelected(model: string | null): void;
  /** A model was loaded, so its files are intact. */
  onLoaded?(model: Model): void;
  /** Loading a model failed because its files are damaged. */
  onLoadFailed?(model: Model, error: AsrproError): void;
  /** A worker crashed. */
  onCrash?(description: string): void;
  /** The worker's report about its cluster; null: the last worker has exited, so the gateway has no connection. */
  onCluster?(report: ClusterReport | null): void;
}

/** A load or unload command whose caller waits for the answer. */
export interface PendingCommand {
  /** A load succeeded. @param previous id of the model that was loaded before. */
  loaded?(previous: string | null): void;
  /** All affected workers have exited. Rejects when the action that follows fails. */
  unloaded?(report: UnloadReport): Promise<void>;
  fail(error: AsrproError): void;
}

/** One worker generation, from the start order until the unload report about its exit is made. */
interface Generation {
  /** null: the start failed. */
  readonly started: Promise<Worker | null>;
  worker: Worker | null;
  stopRequested: boolean;
  loaded: Loaded | null;
  before: MemoryBefore | null;
  /** When the worker was told to exit. */
  stoppedAt: number | null;
  exitSeconds: number;
}

/** Performs effects. Only this class acts on workers, jobs and callers; every outcome goes back as an event. */
export class Effects {
  readonly #options: EffectOptions;
  readonly #dispatch: (event: Event) => void;
  readonly #generations = new Map<number, Generation>();
  readonly #jobs = new Map<number, Job>();
  readonly #commands = new Map<number, PendingCommand>();
  readonly #closed = Promise.withResolvers<void>();
  readonly closed: Promise<void> = this.#closed.promise;
  #timer: NodeJS.Timeout | undefined;

  constructor(options: EffectOptions, dispatch: (event: Event) => void) {
    this.#options = options;
    this.#dispatch = dispatch;
  }

  addJob(id: number, job: Job): void {
    this.#jobs.set(id, job);
    void job.result.catch(() => undefined).finally(() => this.#jobs.delete(id));
  }

  addCommand(id: number, command: PendingCommand): void {
    this.#commands.set(id, command);
  }

  worker(generation: number): Worker | null {
    return this.#generations.get(generation)?.worker ?? null;
  }

  perform(effect: Effect): void {
    const { log, loadSettings, requireEngine } = this.#options;
    switch (effect.type) {
      case 'StartWorker':
        return this.#startWorker(effect.generation, effect.engine);
      case 'StopWorker':
        return void this.#stopWorker(effect.generation, effect.how);
      case 'ChooseSettings':
        return this.#dispatchOutcome(
          async () => ({ type: 'SettingsChosen', model: effect.model, settings: await loadSettings(effect.model) }),
          (error) => ({ type: 'SettingsFailed', model: effect.model, error }),
        );
      case 'BeginLoad':
        return log.debug({ model: effect.model.id, previous: effect.previous?.id ?? null }, 'loading a model');
      case 'LoadModel':
        return this.#loadModel(effect.generation, effect.model, effect.settings);
      case 'AbandonLoad':
        return log.warn({ code: effect.error.code }, `the load was abandoned: ${effect.error.message}`);
      case 'ReportBrokenModel':
        return this.#options.onLoadFailed?.(effect.model, effect.error);
      case 'BindJob':
        return this.#dispatchOutcome(
          async () => {
            const model = await this.#jobs.get(effect.id)!.bind(effect.selected);
            await requireReady(model, requireEngine);
            return { type: 'JobBound', id: effect.id, model };
          },
          (error) => ({ type: 'CheckFailed', id: effect.id, error }),
        );
      case 'StartJob':
        return void this.#runJob(effect.id, effect.generation);
      case 'FailJob':
        return this.#jobs.get(effect.id)?.fail(effect.error);
      case 'CheckLoad':
        return this.#dispatchOutcome(
          async () => {
            await requireReady(effect.model, requireEngine, { retryBroken: true });
            return { type: 'LoadChecked', id: effect.id };
          },
          (error) => ({ type: 'CheckFailed', id: effect.id, error }),
        );
      case 'AnswerLoad':
        return this.#takeCommand(effect.id)?.loaded?.(effect.previous);
      case 'BeginDrain':
        return this.#measure(effect.generation);
      case 'FinishUnload':
        return void this.#finishUnload(effect.id, effect.ended);
      case 'FailCommand':
        return this.#takeCommand(effect.id)?.fail(effect.error);
      case 'SelectModel':
        return this.#options.onSelected(effect.model);
      case 'ReportCrash':
        return this.#options.onCrash?.(effect.description);
      case 'SetTimer':
        return this.#setTimer(effect.at);
      case 'FinishClose':
        clearTimeout(this.#timer);
        return this.#closed.resolve();
    }
  }

  #startWorker(generation: number, engine: ModelEngine): void {
    const started = this.#options.start(engine, generation).then(
      (handle) => this.#connect(handle, engine, generation),
      (error: unknown) => {
        this.#generations.delete(generation);
        this.#dispatch({ type: 'WorkerStartFailed', generation, error: asAsrproError(error) });
        return null;
      },
    );
    const unset = { worker: null, loaded: null, before: null, stoppedAt: null };
    this.#generations.set(generation, { started, ...unset, stopRequested: false, exitSeconds: 0 });
  }

  #connect(handle: WorkerHandle, engine: ModelEngine, generation: number): Worker {
    const { timeouts, log, onCluster } = this.#options;
    const entry = this.#generations.get(generation)!;
    const worker = new Worker(handle, engine, generation, timeouts, log, {
      unusable: (error) => this.#dispatch({ type: 'WorkerUnusable', generation, error }),
      ignoredCancel: (job) => this.#dispatch({ type: 'JobIgnoredCancel', id: Number(job) }),
      hung: (job) => this.#dispatch({ type: 'JobHung', id: Number(job) }),
      cluster: (report) => {
        onCluster?.(report);
        this.#dispatch({ type: 'ClusterReported', generation, reachable: report.reachable });
      },
      exited: (exit, error) => {
        entry.exitSeconds = entry.stoppedAt === null ? 0 : clock() - entry.stoppedAt;
        if (!this.#hasLiveWorker()) onCluster?.(null);
        this.#dispatch({ type: 'WorkerExited', generation, exit, error });
      },
    });
    entry.worker = worker;
    if (entry.stopRequested) void worker.stop('kill');
    worker.hello().then(
      () => this.#dispatch({ type: 'WorkerReady', generation }),
      () => undefined, // `unusable` or `exited` has reported the reason.
    );
    return worker;
  }

  #hasLiveWorker(): boolean {
    return [...this.#generations.values()].some(({ worker }) => worker !== null && !worker.hasExited);
  }

  async #stopWorker(generation: number, how: 'ask' | 'kill'): Promise<void> {
    const entry = this.#generations.get(generation);
    if (entry === undefined) return;
    entry.stopRequested = true;
    const worker = entry.worker ?? (await within(entry.started, this.#options.timeouts.kill));
    this.#measure(generation);
    // A kill does not wait for the GPU query.
    if (how === 'ask') await entry.before?.measured;
    entry.stoppedAt ??= clock();
    await worker?.stop(how === 'ask' ? { graceSeconds: this.#options.stopSeconds } : 'kill');
    if (this.#generations.has(generation) && !worker?.hasExited) this.#dispatch({ type: 'WorkerStuck', generation });
  }

  #measure(generation: number): void {
    const entry = this.#generations.get(generation);
    if (entry?.worker && !entry.worker.hasExited) entry.before = measureMemory(entry.worker, entry.loaded);
  }

  /** Dispatches the outcome of asynchronous work. */
  #dispatchOutcome(work: () => Promise<Event>, failed: (error: AsrproError) => Event): void {
    void work()
      .catch((error: unknown) => failed(asAsrproError(error)))
      .then(this.#dispatch);
  }

  #loadModel(generation: number, model: Model, settings: LoadSettings): void {
    for (const [other, { worker }] of this.#generations) if (worker?.hasExited) this.#generations.delete(other);
    const { log, onLoaded } = this.#options;
    const entry = this.#generations.get(generation)!;
    const { id, path, quantization, languages } = model;
    this.#dispatchOutcome(
      async () => {
        const order = { model: { id, path: path ?? '', quantization, languages }, ...settings };
        const loaded = await entry.worker!.load(order);
        entry.loaded = loaded;
        log.info({ model: id, device: loaded.device, computeType: loaded.compute_type }, 'model loaded');
        onLoaded?.(model);
        return { type: 'ModelLoaded', generation, loaded };
      },
      (error) => {
        log.warn({ model: id, code: error.code }, `loading failed: ${error.message}`);
        return { type: 'LoadFailed', generation, error };
      },
    );
  }

  async #runJob(id: number, generation: number): Promise<void> {
    const outcome = await this.#jobs.get(id)!.run(this.worker(generation)!, String(id));
    this.#dispatch({ type: 'JobEnded', id, retry: outcome === 'retry' });
  }

  async #finishUnload(id: number, ended: EndedWorker | null): Promise<void> {
    const command = this.#takeCommand(id);
    let succeeded = true;
    try {
      await command?.unloaded?.(await this.#report(ended));
    } catch {
      succeeded = false; // The caller gets the error.
    }
    this.#dispatch({ type: 'UnloadFinished', id, succeeded });
  }

  async #report(ended: EndedWorker | null): Promise<UnloadReport> {
    const entry = ended === null ? undefined : this.#generations.get(ended.generation);
    if (ended === null || !entry?.before) return { ...nothingUnloaded, unloaded: ended?.model ?? null };
    const memory = await entry.before.report(entry.exitSeconds);
    this.#options.log.info({ model: ended.model, seconds: memory.exitSeconds }, 'model unloaded');
    return { unloaded: ended.model, memory };
  }

  #takeCommand(id: number): PendingCommand | undefined {
    const command = this.#commands.get(id);
    this.#commands.delete(id);
    return command;
  }

  #setTimer(at: number | null): void {
    clearTimeout(this.#timer);
    if (at === null) return;
    const milliseconds = Math.max(1, (at - clock()) * 1000);
    // setTimeout overflows after 24 days; `decide` sets the timer again when it fires early.
    this.#timer = setTimeout(() => this.#dispatch({ type: 'TimerFired' }), Math.min(milliseconds, 2 ** 31 - 1));
  }
}

/** The monotonic clock of the machine, in seconds. */
export function clock(): number {
  return performance.now() / 1000;
}

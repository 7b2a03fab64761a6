import type { ModelEngine } from '../engine-table.ts';
import { type AsrproError, asAsrproError } from '../errors.ts';
import type { Log } from '../log.ts';
import type { Model } from '../models/model.ts';
import type { ClusterReport, Loaded } from '../wire/messages.ts';
import type { StartWorker } from '../worker/handle.ts';
import { within } from '../worker/kill-ladder.ts';
import { type Patience, Worker } from '../worker/worker.ts';
import type { Job } from './job.ts';
import { type MemoryBefore, measureMemory, nothingUnloaded } from './memory-report.ts';
import { requireReady } from './readiness.ts';
import type { Effect, Ended, Event, LoadSettings } from './state.ts';
import type { UnloadReport } from './types.ts';

export interface EffectOptions {
  log: Log;
  start: StartWorker;
  patience: Patience;
  stopSeconds: number;
  /** Throws `engine_not_installed`. */
  requireEngine(engine: ModelEngine): Promise<void>;
  /** Device, number format and threads to load with. */
  loadSettings(model: Model): Promise<LoadSettings>;
  /** Another model is the selected one, for whom no model is named; null: none. */
  onSelected(model: string | null): void;
  /** A model is loaded, so its files are sound. */
  onLoaded?(model: Model): void;
  /** Loading a model has failed because its files are broken. */
  onLoadFailed?(model: Model, error: AsrproError): void;
  /** How a worker ended that was not asked to, in words. */
  onCrash?(words: string): void;
  /** What the worker says of the cluster; null: it has ended, and nobody is connected any more. */
  onCluster?(report: ClusterReport | null): void;
}

/** Somebody who waits for the outcome of a command. */
export interface Waiter {
  /** A load is done. @param previous id of the model that was loaded before. */
  loaded?(previous: string | null): void;
  /** Everything that it is about has ended; rejects when what it wanted to do then fails. */
  unloaded?(report: UnloadReport): Promise<void>;
  fail(error: AsrproError): void;
}

/** The place of one worker generation, from the order to start it until the report about its end is made. */
interface Seat {
  /** null: it could not be started. */
  readonly started: Promise<Worker | null>;
  worker: Worker | null;
  gone: boolean;
  calledOff: boolean;
  loaded: Loaded | null;
  before: MemoryBefore | null;
  /** When it was told to end. */
  stoppedAt: number | null;
  exitSeconds: number;
}

/** The hands of the machine: executes effects, and nothing else does. What comes of them goes back as events. */
export class Effects {
  readonly #options: EffectOptions;
  readonly #dispatch: (event: Event) => void;
  readonly #seats = new Map<number, Seat>();
  readonly #jobs = new Map<number, Job>();
  readonly #waiters = new Map<number, Waiter>();
  #timer: NodeJS.Timeout | undefined;
  readonly closed: Promise<void>;
  #settleClosed!: () => void;

  constructor(options: EffectOptions, dispatch: (event: Event) => void) {
    this.#options = options;
    this.#dispatch = dispatch;
    this.closed = new Promise((resolve) => {
      this.#settleClosed = resolve;
    });
  }

  addJob(id: number, job: Job): void {
    this.#jobs.set(id, job);
    void job.result.catch(() => undefined).finally(() => this.#jobs.delete(id));
  }

  addWaiter(id: number, waiter: Waiter): void {
    this.#waiters.set(id, waiter);
  }

  worker(generation: number): Worker | null {
    return this.#seats.get(generation)?.worker ?? null;
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
      case 'GiveUpLoad':
        return log.warn({ code: effect.error.code }, `the load was given up: ${effect.error.message}`);
      case 'TellBroken':
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
            await requireReady(effect.model, requireEngine, { again: true });
            return { type: 'LoadChecked', id: effect.id };
          },
          (error) => ({ type: 'CheckFailed', id: effect.id, error }),
        );
      case 'AnswerLoad':
        return this.#takeWaiter(effect.id)?.loaded?.(effect.previous);
      case 'Drain':
        return this.#measure(effect.generation);
      case 'CarryOutUnload':
        return void this.#carryOutUnload(effect.id, effect.ended);
      case 'FailCommand':
        return this.#takeWaiter(effect.id)?.fail(effect.error);
      case 'Select':
        return this.#options.onSelected(effect.model);
      case 'TellCrash':
        return this.#options.onCrash?.(effect.words);
      case 'SetTimer':
        return this.#setTimer(effect.at);
      case 'Closed':
        clearTimeout(this.#timer);
        return this.#settleClosed();
    }
  }

  #startWorker(generation: number, engine: ModelEngine): void {
    const { start, patience, log } = this.#options;
    const started = start(engine, generation).then(
      (handle) => {
        const worker = new Worker(handle, engine, generation, patience, log, {
          broken: (error) => this.#dispatch({ type: 'WorkerBroke', generation, error }),
          deaf: (job) => this.#dispatch({ type: 'JobDeaf', id: Number(job) }),
          hung: (job) => this.#dispatch({ type: 'JobHung', id: Number(job) }),
          cluster: (report) => {
            this.#options.onCluster?.(report);
            this.#dispatch({ type: 'ClusterHeard', generation, reachable: report.reachable });
          },
          exited: (exit, error) => {
            if (!this.#othersLive(generation)) this.#options.onCluster?.(null);
            seat.gone = true;
            seat.exitSeconds = seat.stoppedAt === null ? 0 : clock() - seat.stoppedAt;
            this.#dispatch({ type: 'WorkerExited', generation, exit, error });
          },
        });
        seat.worker = worker;
        if (seat.calledOff) void worker.stop('kill');
        worker.hello().then(
          () => this.#dispatch({ type: 'WorkerUp', generation }),
          () => undefined, // Its end, or what it broke, was heard already.
        );
        return worker;
      },
      (error: unknown) => {
        this.#seats.delete(generation);
        this.#dispatch({ type: 'WorkerNotStarted', generation, error: asAsrproError(error) });
        return null;
      },
    );
    const nothing = { worker: null, gone: false, calledOff: false, loaded: null, before: null, stoppedAt: null };
    const seat: Seat = { started, exitSeconds: 0, ...nothing };
    this.#seats.set(generation, seat);
  }

  #othersLive(generation: number): boolean {
    return [...this.#seats].some(([other, { worker, gone }]) => other !== generation && worker !== null && !gone);
  }

  async #stopWorker(generation: number, how: 'ask' | 'kill'): Promise<void> {
    const seat = this.#seats.get(generation);
    if (seat === undefined) return;
    seat.calledOff = true;
    const worker = seat.worker ?? (await within(seat.started, this.#options.patience.kill));
    this.#measure(generation);
    // A kill does not wait for a GPU to be asked.
    if (how === 'ask') await seat.before?.measured;
    seat.stoppedAt ??= clock();
    await worker?.stop(how === 'ask' ? { graceSeconds: this.#options.stopSeconds } : 'kill');
    if (this.#seats.has(generation) && !seat.gone) this.#dispatch({ type: 'WorkerStuck', generation });
  }

  #measure(generation: number): void {
    const seat = this.#seats.get(generation);
    if (seat?.worker && !seat.gone) seat.before = measureMemory(seat.worker, seat.loaded);
  }

  /** Dispatches what comes of the work. */
  #dispatchOutcome(work: () => Promise<Event>, failed: (error: AsrproError) => Event): void {
    void work()
      .catch((error: unknown) => failed(asAsrproError(error)))
      .then(this.#dispatch);
  }

  #loadModel(generation: number, model: Model, settings: LoadSettings): void {
    for (const [other, { gone }] of this.#seats) if (gone) this.#seats.delete(other);
    const { log, onLoaded } = this.#options;
    const seat = this.#seats.get(generation)!;
    const { id, path, quantization, languages } = model;
    this.#dispatchOutcome(
      async () => {
        const order = { model: { id, path: path ?? '', quantization, languages }, ...settings };
        const loaded = await seat.worker!.load(order);
        seat.loaded = loaded;
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
    const outcome = await this.#jobs.get(id)!.run(this.#seats.get(generation)!.worker!, String(id));
    this.#dispatch({ type: 'JobEnded', id, again: outcome === 'again' });
  }

  async #carryOutUnload(id: number, ended: Ended | null): Promise<void> {
    const waiter = this.#takeWaiter(id);
    let done = true;
    try {
      await waiter?.unloaded?.(await this.#report(ended));
    } catch {
      done = false; // The caller has the error.
    }
    this.#dispatch({ type: 'CommandCarriedOut', id, done });
  }

  async #report(ended: Ended | null): Promise<UnloadReport> {
    const seat = ended === null ? undefined : this.#seats.get(ended.generation);
    if (ended === null || !seat?.before) return { ...nothingUnloaded, unloaded: ended?.model ?? null };
    const memory = await seat.before.report(seat.exitSeconds);
    this.#options.log.info({ model: ended.model, seconds: memory.exitSeconds }, 'model unloaded');
    return { unloaded: ended.model, memory };
  }

  #takeWaiter(id: number): Waiter | undefined {
    const waiter = this.#waiters.get(id);
    this.#waiters.delete(id);
    return waiter;
  }

  #setTimer(at: number | null): void {
    clearTimeout(this.#timer);
    if (at === null) return;
    const milliseconds = Math.max(1, (at - clock()) * 1000);
    // A wait of more than 24 days overflows the timer; it is set anew when this one has come.
    this.#timer = setTimeout(() => this.#dispatch({ type: 'TimeCame' }), Math.min(milliseconds, 2 ** 31 - 1));
  }
}

/** Seconds of the machine's clock. */
export function clock(): number {
  return performance.now() / 1000;
}

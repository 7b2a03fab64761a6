import { AsrproError, asAsrproError } from '../errors.ts';
import type { Log } from '../log.ts';
import type { Model, ModelEngine } from '../models/model.ts';
import type { Loaded, LoadMessage } from '../wire/messages.ts';
import { politeLadder, shortLadder } from '../worker/kill-ladder.ts';
import { availableBytes, gpuFreeBytes } from '../worker/memory.ts';
import type { Supervisor } from '../worker/supervisor.ts';
import type { Worker } from '../worker/worker.ts';
import { LoadCrashes } from './load-crashes.ts';
import type { LoadReport, ResidentStatus, UnloadReport } from './types.ts';

export interface ResidentModelOptions {
  supervisor: Supervisor;
  log: Log;
  stopSeconds: number;
  /** Device, number format and threads to load with. Throws `device_unavailable`. */
  loadSettings(model: Model): Promise<Pick<LoadMessage, 'device' | 'compute_type' | 'threads' | 'concurrency'>>;
  /** An attempt to load it failed, whatever is tried next. */
  onLoadFailed?(model: Model, failure: AsrproError): void;
  /** The loaded worker has gone by itself, or was ended because a job did not stop. */
  onGone(): void;
}

type State =
  | { status: 'none' }
  | { status: 'loading'; model: Model; worker: Worker | null }
  | { status: 'loaded'; model: Model; worker: Worker; loaded: Loaded; seconds: number }
  | { status: 'unloading'; model: Model; worker: Worker };

/**
 * The model that is resident, and the only writer of that fact. Two models are never loaded: the next worker may start
 * and import its engine early, but reads weights only after the process before it has ended.
 */
export class ResidentModel {
  readonly #options: ResidentModelOptions;
  readonly #crashes = new LoadCrashes();
  #state: State = { status: 'none' };
  #prepared: { engine: ModelEngine; worker: Promise<Worker> } | null = null;

  constructor(options: ResidentModelOptions) {
    this.#options = options;
  }

  get status(): State['status'] {
    const state = this.#state;
    // A worker that is on its way out takes no more jobs; its exit makes this `none`.
    return state.status === 'loaded' && !state.worker.usable ? 'unloading' : state.status;
  }
  get model(): Model | null {
    return this.#state.status === 'none' ? null : this.#state.model;
  }
  /** The worker to run jobs on; null unless loaded. */
  get worker(): Worker | null {
    return this.#state.status === 'loaded' ? this.#state.worker : null;
  }
  get concurrency(): number {
    return this.#state.status === 'loaded' ? this.#state.loaded.concurrency : 1;
  }

  describe(): ResidentStatus {
    const state = this.#state;
    const loaded = state.status === 'loaded' ? state : null;
    return {
      model: state.status === 'none' ? null : state.model.id,
      status: this.status,
      device: loaded?.loaded.device ?? null,
      computeType: loaded?.loaded.compute_type ?? null,
      memoryBytes: loaded ? (loaded.worker.memoryBytes ?? loaded.loaded.memory_bytes) : null,
      loadSeconds: loaded?.seconds ?? null,
    };
  }

  /** Throws `model_load_failed` for a model that keeps killing its worker. */
  check(modelId: string): void {
    this.#crashes.check(modelId);
  }
  forgive(modelId: string): void {
    this.#crashes.forgive(modelId);
  }

  /** Starts the next worker while jobs still run on this one. */
  prepare(model: Model): void {
    if (this.#prepared?.engine === model.engine) return;
    this.#discardPrepared();
    const worker = this.#options.supervisor.start(model.engine);
    worker.catch(() => undefined);
    this.#prepared = { engine: model.engine, worker };
  }

  /**
   * Makes `model` the resident one. When that fails, the model that was loaded before is loaded again, and the error
   * says what became of both.
   */
  async load(model: Model): Promise<LoadReport> {
    const before = this.#state.status === 'loaded' ? this.#state : null;
    const previous = before?.model.id ?? null;
    if (before?.model.id === model.id) return { ...this.describe(), previous };
    this.#crashes.check(model.id);
    // Nothing is awaited between reading the state and writing it: the scheduler must see `loading` at once.
    this.#state = { status: 'loading', model, worker: null };
    try {
      await this.#bringUp(model, before?.worker ?? null);
      return { ...this.describe(), previous };
    } catch (error) {
      const failure = asAsrproError(error);
      this.#state = { status: 'none' };
      if (before === null) throw failure;
      throw await this.#restore(before.model, failure);
    }
  }

  /** Ends the worker; resolves after the process is gone. */
  async unload(): Promise<UnloadReport> {
    const state = this.#state;
    if (state.status !== 'loaded') {
      return { unloaded: null, memory: nothing };
    }
    const { model, worker, loaded } = state;
    this.#state = { status: 'unloading', model, worker };
    const [gpuBefore, systemBefore] = [await gpuFreeBytes(loaded.device), availableBytes()];
    const stop = await worker.stop(politeLadder(this.#options.stopSeconds));
    this.#state = { status: 'none' };
    const before = stop.memoryBytes ?? loaded.memory_bytes;
    this.#options.log.info({ model: model.id, rung: stop.rung, seconds: stop.seconds }, 'model unloaded');
    return {
      unloaded: model.id,
      memory: {
        beforeBytes: before,
        returnedBytes: before - (worker.memoryBytes ?? 0),
        workerExited: true,
        exitSeconds: stop.seconds,
        systemAvailableBeforeBytes: systemBefore,
        systemAvailableAfterBytes: availableBytes(),
        gpuFreeBeforeBytes: gpuBefore,
        gpuFreeAfterBytes: await gpuFreeBytes(gpuBefore === null ? null : loaded.device),
      },
    };
  }

  /** Ends everything that runs, whatever it is doing. */
  async close(): Promise<void> {
    this.#prepared = null;
    await this.#options.supervisor.close(politeLadder(this.#options.stopSeconds));
    this.#state = { status: 'none' };
  }

  async #bringUp(model: Model, old: Worker | null): Promise<void> {
    const begin = performance.now();
    const settings = await this.#options.loadSettings(model);
    const onGpu = settings.device !== 'cpu';
    try {
      await this.#attempt(model, settings, old, begin);
    } catch (error) {
      const failure = asAsrproError(error);
      const crashed = this.#crashes.note(model.id, failure);
      if (failure.code === 'model_broken' || (!crashed && !onGpu)) throw failure;
      this.#options.log.warn({ model: model.id, code: failure.code }, `loading failed, once more: ${failure.message}`);
      const again = onGpu ? { ...settings, device: 'cpu', compute_type: 'auto' } : settings;
      try {
        await this.#attempt(model, again, null, begin);
      } catch (second) {
        this.#crashes.note(model.id, asAsrproError(second));
        throw second;
      }
    }
  }

  async #attempt(
    model: Model,
    settings: Pick<LoadMessage, 'device' | 'compute_type' | 'threads' | 'concurrency'>,
    old: Worker | null,
    begin: number,
  ): Promise<void> {
    const { supervisor, stopSeconds, log } = this.#options;
    const starting = this.#takePrepared(model.engine) ?? supervisor.start(model.engine);
    starting.catch(() => undefined);
    await old?.stop(politeLadder(stopSeconds));
    const worker = await starting;
    this.#state = { status: 'loading', model, worker };
    try {
      const loaded = await worker.load({
        model: {
          id: model.id,
          path: model.path ?? '',
          quantization: model.quantization,
          languages: model.languages,
        },
        ...settings,
      });
      const seconds = (performance.now() - begin) / 1000;
      this.#state = { status: 'loaded', model, worker, loaded, seconds };
      this.#crashes.forgive(model.id);
      void worker.exited.then(() => this.#onExit(worker));
      log.info({ model: model.id, device: loaded.device, computeType: loaded.compute_type, seconds }, 'model loaded');
    } catch (error) {
      this.#options.onLoadFailed?.(model, asAsrproError(error));
      await worker.stop(shortLadder);
      throw error;
    }
  }

  async #restore(model: Model, failure: AsrproError): Promise<AsrproError> {
    const outcome = await this.#bringUp(model, null).then(
      () => `The model '${model.id}' is loaded again.`,
      (error: Error) => {
        this.#state = { status: 'none' };
        return `The model '${model.id}' that was loaded before could not be loaded again: ${error.message}`;
      },
    );
    return new AsrproError(failure.code, `${failure.message} ${outcome}`, {
      cause: failure,
      ...(failure.param === null ? {} : { param: failure.param }),
      ...(failure.hint === null ? {} : { hint: failure.hint }),
      ...(failure.retryAfterSeconds === null ? {} : { retryAfterSeconds: failure.retryAfterSeconds }),
    });
  }

  #onExit(worker: Worker): void {
    if (this.#state.status !== 'loaded' || this.#state.worker !== worker) return;
    this.#state = { status: 'none' };
    this.#options.onGone();
  }

  #takePrepared(engine: ModelEngine): Promise<Worker> | null {
    const prepared = this.#prepared;
    if (prepared?.engine !== engine) {
      this.#discardPrepared();
      return null;
    }
    this.#prepared = null;
    return prepared.worker.then((worker) =>
      worker.state === 'ready' ? worker : this.#options.supervisor.start(engine),
    );
  }

  #discardPrepared(): void {
    this.#prepared?.worker.then((worker) => worker.stop(shortLadder)).catch(() => undefined);
    this.#prepared = null;
  }
}

const nothing: UnloadReport['memory'] = {
  beforeBytes: 0,
  returnedBytes: 0,
  workerExited: true,
  exitSeconds: 0,
  systemAvailableBeforeBytes: null,
  systemAvailableAfterBytes: null,
  gpuFreeBeforeBytes: null,
  gpuFreeAfterBytes: null,
};

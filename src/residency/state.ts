import type { ModelEngine } from '../engine-table.ts';
import type { AsrproError } from '../errors.ts';
import type { Model } from '../models/model.ts';
import type { Loaded, LoadMessage } from '../wire/messages.ts';
import type { ExitReport } from '../worker/exit.ts';

/** How to load a model. `cluster` is set when a worker loads it on a Ray cluster. */
export type LoadSettings = Pick<LoadMessage, 'device' | 'compute_type' | 'threads' | 'concurrency' | 'cluster'>;

/** A worker process from its start to its exit. Every living process is in `State.workers`. */
export interface WorkerRecord {
  readonly generation: number;
  readonly engine: ModelEngine;
  /**
   * `starting`: has not sent `hello`; `ready`: up, without a model; `unusable`: must be killed; `ending`: was told to
   * exit; `stuck`: was killed, but the process still exists.
   */
  phase: 'starting' | 'ready' | 'loading' | 'loaded' | 'unusable' | 'ending' | 'stuck';
  /** Set when the worker is told to load. From then on it counts as holding the model until it exits. */
  model: Model | null;
  loaded: Loaded | null;
  loadSeconds: number | null;
  /** Why the gateway kills it, as a verb phrase ("broke the protocol"). Such an exit counts as a crash. */
  fault: string | null;
  /** When one of its jobs stopped showing progress. */
  hungSince: number | null;
  /** When its cluster became unreachable. */
  unreachableSince: number | null;
  killed: boolean;
}

interface Entry {
  /** Ids ascend in the order of arrival. */
  readonly id: number;
  /** When the entry fails because it waited too long. */
  deadline: number;
  /** Of a job: find its model; of a load: check that the model can be loaded. */
  check: 'due' | 'running' | 'done';
  /** Reported once no load is in progress, because the message says what became of the previous model. */
  failure: AsrproError | null;
}

export interface JobEntry extends Entry {
  readonly kind: 'job';
  /** Whether the request names a model. If not, the job gets the selected one when it reaches the head of the queue. */
  readonly namesModel: boolean;
  model: Model | null;
  /** The selection from which `model` was derived. */
  boundFor: string | null;
  /** It has run once, so it keeps its model. */
  startedBefore: boolean;
  /** It was running when a worker died, so it may be the cause and now runs without other jobs beside it. */
  runsAlone: boolean;
}

export interface LoadEntry extends Entry {
  readonly kind: 'load';
  model: Model;
  /** The model that was loaded before; undefined until this load begins. */
  previous: string | null | undefined;
}

export interface UnloadEntry extends Entry {
  readonly kind: 'unload';
  /** null: unload any model and clear the selection. */
  readonly modelId: string | null;
  /** When running jobs are failed; null: the drain has not begun. */
  drainDeadline: number | null;
  /** The worker that exited for this unload, even if it crashed: the answer reports its model. */
  ended: EndedWorker | null;
}

export interface EndedWorker {
  generation: number;
  model: string;
}

export type QueueEntry = JobEntry | LoadEntry | UnloadEntry;

export interface RunningJob {
  readonly entry: JobEntry;
  readonly generation: number;
  readonly startedAt: number;
  /** The client already has the outcome; the engine was asked to stop. */
  settled: boolean;
  /** When the engine should have stopped it. */
  ignoredCancelSince: number | null;
}

/** A load past the point of no return: the previous model is given up for it. */
export interface LoadInProgress {
  readonly model: Model;
  /** null: not chosen yet. */
  settings: LoadSettings | null;
  attempt: 1 | 2;
  readonly since: number;
  /** Loaded again when this load fails. */
  readonly previous: Model | null;
  /** Set when this load restores the previous model: why the other model failed. */
  readonly failure: AsrproError | null;
}

/** Everything the machine knows about what is loaded and what is to be loaded. Only `Machine` writes it. */
export interface State {
  readonly limits: { maxQueue: number; queueSeconds: number; drainSeconds: number };
  closing: { deadline: number; done: boolean } | null;
  /** The model last requested by name. Crashes, kills and cancels do not change it. */
  selected: string | null;
  /** Oldest first. */
  workers: WorkerRecord[];
  load: LoadInProgress | null;
  /** Settings for the model that is loaded next; `settings` is null while they are being chosen. */
  nextSettings: { model: Model; settings: LoadSettings | null } | null;
  /** Queue slots of requests whose upload is still being received. */
  reserved: number;
  /** Jobs and commands in order of arrival, except that an unload goes before the jobs. */
  queue: QueueEntry[];
  running: RunningJob[];
  /** The unload whose action runs now. Nothing is loaded until it ends. */
  activeUnload: UnloadEntry | null;
  /** An engine whose worker failed to start while jobs ran. The start is retried when its turn comes. */
  failedPreparation: ModelEngine | null;
  /** By engine: when workers without a model died since one last loaded a model. */
  crashes: Map<ModelEngine, number[]>;
  /** By model: how often loading it crashed the worker since it was last loaded or requested with a load command. */
  loadCrashes: Map<string, { count: number; reason: string }>;
  /** How the last worker ended. */
  lastExit: { crash: boolean; engine: ModelEngine } | null;
  /** Describes the last crash. */
  lastError: string | null;
  /** The generation of the last worker that was started. */
  generation: number;
  /** How many workers were started after a crash. */
  restarts: number;
  /** Moving average, for Retry-After. */
  secondsPerJob: number;
  /** When the timer fires; null: never. */
  timer: number | null;
  /** What the last event left to report. */
  pendingEffects: Effect[];
}

/** What happened. */
export type Event =
  | { type: 'SlotReserved' }
  | { type: 'SlotReleased' }
  | { type: 'JobArrived'; id: number; namesModel: boolean }
  | { type: 'JobBound'; id: number; model: Model }
  | { type: 'JobCancelled'; id: number; error: AsrproError }
  | { type: 'JobIgnoredCancel'; id: number }
  | { type: 'JobHung'; id: number }
  | { type: 'JobEnded'; id: number; retry: boolean }
  | { type: 'LoadRequested'; id: number; model: Model }
  | { type: 'LoadChecked'; id: number }
  | { type: 'CheckFailed'; id: number; error: AsrproError }
  | { type: 'UnloadRequested'; id: number; modelId: string | null }
  | { type: 'UnloadFinished'; id: number; succeeded: boolean }
  | { type: 'SettingsChosen'; model: Model; settings: LoadSettings }
  | { type: 'SettingsFailed'; model: Model; error: AsrproError }
  | { type: 'WorkerStartFailed'; generation: number; error: AsrproError }
  | { type: 'WorkerReady'; generation: number }
  | { type: 'WorkerUnusable'; generation: number; error: AsrproError }
  | { type: 'WorkerStuck'; generation: number }
  | { type: 'ClusterReported'; generation: number; reachable: boolean }
  | { type: 'WorkerExited'; generation: number; exit: ExitReport; error: AsrproError }
  | { type: 'ModelLoaded'; generation: number; loaded: Loaded }
  | { type: 'LoadFailed'; generation: number; error: AsrproError }
  | { type: 'TimerFired' }
  | { type: 'CloseRequested'; drainSeconds: number };

/** What to do. An effect carries all that it needs, because the code that performs it does not read the state. */
export type Effect =
  | { type: 'StartWorker'; generation: number; engine: ModelEngine }
  | { type: 'StopWorker'; generation: number; how: 'ask' | 'kill' }
  | { type: 'ChooseSettings'; model: Model }
  /** The point of no return of a switch: from here on the previous model is given up. */
  | { type: 'BeginLoad'; model: Model; settings: LoadSettings; previous: Model | null; now: number }
  | { type: 'LoadModel'; generation: number; model: Model; settings: LoadSettings }
  | { type: 'AbandonLoad'; error: AsrproError }
  | { type: 'ReportBrokenModel'; model: Model; error: AsrproError }
  | { type: 'BindJob'; id: number; selected: string | null }
  | { type: 'StartJob'; id: number; generation: number; now: number }
  | { type: 'FailJob'; id: number; error: AsrproError }
  | { type: 'CheckLoad'; id: number; model: Model }
  | { type: 'AnswerLoad'; id: number; previous: string | null }
  | { type: 'BeginDrain'; id: number; deadline: number; generation: number }
  | { type: 'FinishUnload'; id: number; ended: EndedWorker | null }
  | { type: 'FailCommand'; id: number; error: AsrproError }
  | { type: 'SelectModel'; model: string | null }
  | { type: 'ReportCrash'; description: string }
  | { type: 'SetTimer'; at: number | null }
  | { type: 'FinishClose' };

export function initialState(limits: State['limits']): State {
  return {
    limits,
    closing: null,
    selected: null,
    workers: [],
    load: null,
    nextSettings: null,
    reserved: 0,
    queue: [],
    running: [],
    activeUnload: null,
    failedPreparation: null,
    crashes: new Map(),
    loadCrashes: new Map(),
    lastExit: null,
    lastError: null,
    generation: 0,
    restarts: 0,
    // An 11 s clip with whisper-base on two cores takes about 2 s.
    secondsPerJob: 3,
    timer: null,
    pendingEffects: [],
  };
}

export function findWorker(state: State, generation: number | undefined): WorkerRecord | undefined {
  return state.workers.find((worker) => worker.generation === generation);
}

/** The worker that has a model and was not told to exit. */
export function loadedWorker({ workers }: Pick<State, 'workers'>): WorkerRecord | undefined {
  return workers.find(({ phase }) => phase === 'loaded');
}

/** The worker that is started in advance and has no model yet. */
export function preparedWorker({ workers }: State): WorkerRecord | undefined {
  return workers.find(({ phase }) => phase === 'starting' || phase === 'ready');
}

/** How many jobs the loaded worker runs side by side. */
export function concurrencyOf(state: State): number {
  return loadedWorker(state)?.loaded?.concurrency ?? 1;
}

export function findRunningJob(state: State, id: number): RunningJob | undefined {
  return state.running.find(({ entry }) => entry.id === id);
}

export function removeWorker(state: State, generation: number): void {
  state.workers = state.workers.filter((worker) => worker.generation !== generation);
}

export function findEntry(state: State, id: number): QueueEntry | undefined {
  return state.queue.find((entry) => entry.id === id);
}

export function removeEntry(state: State, id: number): void {
  state.queue = state.queue.filter((entry) => entry.id !== id);
}

export function forgetSelection(state: State): void {
  if (state.selected === null) return;
  state.selected = null;
  state.pendingEffects.push({ type: 'SelectModel', model: null });
}

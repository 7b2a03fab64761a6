import type { ModelEngine } from '../engine-table.ts';
import type { AsrproError } from '../errors.ts';
import type { Model } from '../models/model.ts';
import type { Loaded, LoadMessage } from '../wire/messages.ts';
import type { ExitReport } from '../worker/exit.ts';

/** Device, number format and threads to load with, and the cluster where that is to be done there. */
export type LoadSettings = Pick<LoadMessage, 'device' | 'compute_type' | 'threads' | 'concurrency' | 'cluster'>;

/** A worker process from its start to its exit. No process lives that is not in `State.workers`. */
export interface WorkerState {
  readonly generation: number;
  readonly engine: ModelEngine;
  /**
   * `starting`: not said hello; `ready`: has no model yet; `spent`: has to be ended; `ending`: was told to end; `stuck`:
   * killed, and still there.
   */
  phase: 'starting' | 'ready' | 'loading' | 'loaded' | 'spent' | 'ending' | 'stuck';
  /** Set when it is told to load one: from then on it counts as holding it, until its exit. */
  model: Model | null;
  loaded: Loaded | null;
  loadSeconds: number | null;
  /** What it did to be ended for, as the middle of a sentence; such an end is a crash although we brought it about. */
  fault: string | null;
  /** Since when a job hangs in it. */
  hungSince: number | null;
  /** Since when the cluster that it works on is out of its reach. */
  cutOffSince: number | null;
  killed: boolean;
}

interface Entry {
  /** Ticket: the order of arrival. */
  readonly id: number;
  /** When its wait is over. */
  until: number;
  /** `due`: to be looked at (a job: which model; a load: can it be loaded); `asked`: that is being done. */
  check: 'due' | 'asked' | 'done';
  /** Told when no load is under way: the message says what became of the model before. */
  failure: AsrproError | null;
}

export interface JobEntry extends Entry {
  readonly kind: 'job';
  /** Whether the request names a model. Else it gets the selected one, looked up when it is first in line. */
  readonly named: boolean;
  model: Model | null;
  /** The selection that `model` was looked up for. */
  boundFor: string | null;
  /** It has been started once: it keeps its model. */
  fixed: boolean;
  /** It was in hand when a worker died, and has the machine for itself now. */
  alone: boolean;
}

export interface LoadEntry extends Entry {
  readonly kind: 'load';
  model: Model;
  /** What was loaded when its load began; undefined until then. */
  previous: string | null | undefined;
}

export interface UnloadEntry extends Entry {
  readonly kind: 'unload';
  /** Id of the model; null: whatever is loaded, and the selection is forgotten. */
  readonly subject: string | null;
  /** How long the running jobs may go on; null: not begun. */
  drainUntil: number | null;
  /** The worker that ended on the way, whoever ended it: the answer is about its model. */
  ended: Ended | null;
}

export interface Ended {
  generation: number;
  model: string;
}

export type LineEntry = JobEntry | LoadEntry | UnloadEntry;

export interface RunningJob {
  readonly entry: JobEntry;
  readonly generation: number;
  readonly startedAt: number;
  /** Its caller has the outcome already; the engine is asked to stop. */
  over: boolean;
  /** Since when it should have stopped. */
  deafSince: number | null;
}

/** A load that has begun: what was loaded before is given up for it. */
export interface LoadUnderWay {
  readonly model: Model;
  /** null: not chosen yet. */
  settings: LoadSettings | null;
  attempt: 1 | 2;
  readonly since: number;
  /** To be loaded again when this fails. */
  readonly previous: Model | null;
  /** Set where this load brings the previous model back: why the other one failed. */
  readonly failure: AsrproError | null;
}

/** Everything that is known about what is loaded, and what is to be. Written by `Machine` alone. */
export interface State {
  readonly limits: { maxQueue: number; queueSeconds: number; drainSeconds: number };
  closing: { deadline: number; done: boolean } | null;
  /** Id of the model that was asked for by name last. No crash, kill or cancel changes it. */
  selected: string | null;
  /** Oldest first. */
  workers: WorkerState[];
  load: LoadUnderWay | null;
  /** Settings for the model that is loaded next. */
  choice: { model: Model; settings: LoadSettings | null } | null;
  /** Places that are taken and not yet in line: their upload is being received. */
  reserved: number;
  /** Jobs and commands in order of arrival, except that an unload goes before the jobs. */
  line: LineEntry[];
  running: RunningJob[];
  /** The command that is being carried out: nothing is loaded meanwhile. */
  acting: UnloadEntry | null;
  /** An engine whose worker failed to start while jobs ran: it is tried again when its turn has come. */
  spoiled: ModelEngine | null;
  /** When workers died that had no model, by engine, since one loaded a model. */
  crashes: Map<ModelEngine, number[]>;
  /** Models that killed their worker while they were loaded, until one is loaded or asked for by name. */
  loadCrashes: Map<string, { count: number; reason: string }>;
  /** How the last worker ended. */
  lastEnd: { crash: boolean; engine: ModelEngine } | null;
  /** The last crash in words. */
  lastError: string | null;
  /** Workers that were started, and those that followed a crash. */
  generation: number;
  restarts: number;
  /** Moving average, for an honest Retry-After. */
  secondsPerJob: number;
  /** When the clock is to call; null: never. */
  timer: number | null;
  /** What came with the last event and has to be passed on. */
  news: Effect[];
}

/** What happened. */
export type Event =
  | { type: 'PlaceTaken' }
  | { type: 'PlaceLeft' }
  | { type: 'JobArrived'; id: number; named: boolean }
  | { type: 'JobBound'; id: number; model: Model }
  | { type: 'JobLeft'; id: number; error: AsrproError }
  | { type: 'JobDeaf'; id: number }
  | { type: 'JobHung'; id: number }
  | { type: 'JobEnded'; id: number; again: boolean }
  | { type: 'LoadAsked'; id: number; model: Model }
  | { type: 'LoadChecked'; id: number }
  | { type: 'CheckFailed'; id: number; error: AsrproError }
  | { type: 'UnloadAsked'; id: number; subject: string | null }
  | { type: 'CommandCarriedOut'; id: number; done: boolean }
  | { type: 'SettingsChosen'; model: Model; settings: LoadSettings }
  | { type: 'SettingsFailed'; model: Model; error: AsrproError }
  | { type: 'WorkerNotStarted'; generation: number; error: AsrproError }
  | { type: 'WorkerUp'; generation: number }
  | { type: 'WorkerBroke'; generation: number; error: AsrproError }
  | { type: 'WorkerStuck'; generation: number }
  | { type: 'ClusterHeard'; generation: number; reachable: boolean }
  | { type: 'WorkerExited'; generation: number; exit: ExitReport; error: AsrproError }
  | { type: 'ModelLoaded'; generation: number; loaded: Loaded }
  | { type: 'LoadFailed'; generation: number; error: AsrproError }
  | { type: 'TimeCame' }
  | { type: 'CloseAsked'; drainSeconds: number };

/** What is to be done. Each carries its subject: whoever executes it looks at no state. */
export type Effect =
  | { type: 'StartWorker'; generation: number; engine: ModelEngine }
  | { type: 'StopWorker'; generation: number; how: 'ask' | 'kill' }
  | { type: 'ChooseSettings'; model: Model }
  /** The point of no return of a switch: from here on the model before is given up. */
  | { type: 'BeginLoad'; model: Model; settings: LoadSettings; previous: Model | null; now: number }
  | { type: 'LoadModel'; generation: number; model: Model; settings: LoadSettings }
  | { type: 'GiveUpLoad'; error: AsrproError }
  | { type: 'TellBroken'; model: Model; error: AsrproError }
  | { type: 'BindJob'; id: number; selected: string | null }
  | { type: 'StartJob'; id: number; generation: number; now: number }
  | { type: 'FailJob'; id: number; error: AsrproError }
  | { type: 'CheckLoad'; id: number; model: Model }
  | { type: 'AnswerLoad'; id: number; previous: string | null }
  | { type: 'Drain'; id: number; until: number; generation: number }
  | { type: 'CarryOutUnload'; id: number; ended: Ended | null }
  | { type: 'FailCommand'; id: number; error: AsrproError }
  | { type: 'Select'; model: string | null }
  | { type: 'TellCrash'; words: string }
  | { type: 'SetTimer'; at: number | null }
  | { type: 'Closed' };

export function initialState(limits: State['limits']): State {
  return {
    limits,
    closing: null,
    selected: null,
    workers: [],
    load: null,
    choice: null,
    reserved: 0,
    line: [],
    running: [],
    acting: null,
    spoiled: null,
    crashes: new Map(),
    loadCrashes: new Map(),
    lastEnd: null,
    lastError: null,
    generation: 0,
    restarts: 0,
    // An 11 s clip with whisper-base on two cores takes about 2 s.
    secondsPerJob: 3,
    timer: null,
    news: [],
  };
}

export function workerOf(state: State, generation: number | undefined): WorkerState | undefined {
  return state.workers.find((worker) => worker.generation === generation);
}

/** The one that has a model and is not about to end. */
export function loadedWorker({ workers }: Pick<State, 'workers'>): WorkerState | undefined {
  return workers.find(({ phase }) => phase === 'loaded');
}

export function jobOn(state: State, id: number): RunningJob | undefined {
  return state.running.find(({ entry }) => entry.id === id);
}

export function removeWorker(state: State, generation: number): void {
  state.workers = state.workers.filter((worker) => worker.generation !== generation);
}

export function entryOf(state: State, id: number): LineEntry | undefined {
  return state.line.find((entry) => entry.id === id);
}

export function removeEntry(state: State, id: number): void {
  state.line = state.line.filter((entry) => entry.id !== id);
}

export function forgetSelection(state: State): void {
  if (state.selected === null) return;
  state.selected = null;
  state.news.push({ type: 'Select', model: null });
}

import type { ModelEngine } from '../engine-table.ts';
import { AsrproError } from '../errors.ts';
import { describeExit } from '../worker/exit.ts';
import { decide } from './decide.ts';
import { noteLoadCrash } from './load-crashes.ts';
import { averaged } from './rate.ts';
import {
  type Effect,
  type Event,
  initialState,
  type JobEntry,
  type LineEntry,
  type State,
  type WorkerState,
} from './state.ts';

export interface MachineOptions {
  limits: State['limits'];
  /** Seconds of one clock. */
  now(): number;
  perform(effect: Effect): void;
}

/**
 * The only writer of `State`. An event is written down, then `decide` is asked until it has nothing to do; what it wants
 * is written down as well before it is performed, so that every decision sees all that is under way.
 */
export class Machine {
  readonly #options: MachineOptions;
  readonly #state: State;
  readonly #events: Event[] = [];
  #busy = false;

  constructor(options: MachineOptions) {
    this.#options = options;
    this.#state = initialState(options.limits);
  }

  get state(): Readonly<State> {
    return this.#state;
  }

  /** Events that come while effects are performed wait for their turn. */
  dispatch(event: Event): void {
    this.#events.push(event);
    if (this.#busy) return;
    this.#busy = true;
    try {
      for (let next = this.#events.shift(); next !== undefined; next = this.#events.shift()) this.#handle(next);
    } finally {
      this.#busy = false;
    }
  }

  #handle(event: Event): void {
    const now = this.#options.now();
    happened(this.#state, event, now);
    for (;;) {
      const effects = decide(this.#state, now);
      if (effects.length === 0) return;
      this.#state.news = [];
      for (const effect of effects) begun(this.#state, effect);
      for (const effect of effects) this.#options.perform(effect);
    }
  }
}

/** Writes down what happened. Late news of what is gone already changes nothing. */
function happened(state: State, event: Event, now: number): void {
  switch (event.type) {
    case 'PlaceTaken':
      state.reserved += 1;
      break;
    case 'PlaceLeft':
      state.reserved -= 1;
      break;
    case 'JobArrived': {
      state.reserved -= 1;
      const { id, named } = event;
      const wait = { until: now + state.limits.queueSeconds, check: 'due', failure: null } as const;
      queue(state, { kind: 'job', id, named, model: null, boundFor: null, fixed: false, alone: false, ...wait });
      break;
    }
    case 'JobBound': {
      const entry = entryOf(state, event.id);
      if (entry?.kind !== 'job') break;
      entry.model = event.model;
      entry.check = 'done';
      break;
    }
    case 'JobLeft':
      failJob(state, event.id, event.error);
      break;
    case 'JobDeaf': {
      const job = state.running.find(({ entry }) => entry.id === event.id);
      if (job) job.deafSince ??= now;
      break;
    }
    case 'JobHung': {
      const job = state.running.find(({ entry }) => entry.id === event.id);
      const worker = workerOf(state, job?.generation);
      if (!worker) break;
      worker.hungSince ??= now;
      worker.fault = 'gave no sign of life and was ended';
      break;
    }
    case 'JobEnded':
      jobEnded(state, event.id, event.again, now);
      break;
    case 'LoadAsked': {
      state.loadCrashes.delete(event.model.id);
      const wait = { until: now + state.limits.queueSeconds, check: 'due', failure: null } as const;
      queue(state, { kind: 'load', id: event.id, model: event.model, previous: undefined, ...wait });
      break;
    }
    case 'LoadChecked': {
      const entry = entryOf(state, event.id);
      if (entry) entry.check = 'done';
      break;
    }
    case 'CheckFailed': {
      const entry = entryOf(state, event.id);
      if (entry) entry.failure = event.error;
      break;
    }
    case 'UnloadAsked': {
      const wait = { until: Number.POSITIVE_INFINITY, check: 'done', failure: null } as const;
      queue(state, { kind: 'unload', id: event.id, subject: event.subject, drainUntil: null, ended: null, ...wait });
      break;
    }
    case 'CommandCarriedOut':
      commandCarriedOut(state, event.done);
      break;
    case 'SettingsChosen':
      if (state.choice?.model.id === event.model.id) state.choice.settings = event.settings;
      if (state.load?.model.id === event.model.id) state.load.settings ??= event.settings;
      break;
    case 'SettingsFailed':
      if (state.choice?.model.id === event.model.id) state.choice = null;
      if (state.load?.model.id === event.model.id) loadFailed(state, event.error, false, now);
      else failWaiting(state, event.model.id, event.error);
      break;
    case 'WorkerNotStarted': {
      const worker = removeWorker(state, event.generation);
      if (worker?.phase === 'starting') startFailed(state, worker.engine, event.error, now);
      break;
    }
    case 'WorkerUp': {
      const worker = workerOf(state, event.generation);
      if (worker?.phase === 'starting') worker.phase = 'ready';
      break;
    }
    case 'WorkerBroke': {
      const worker = workerOf(state, event.generation);
      if (!worker || worker.phase === 'ending' || worker.phase === 'stuck') break;
      const { phase } = worker;
      worker.phase = 'spent';
      worker.fault = 'broke the protocol or never said hello, and was ended';
      workerFailed(state, worker, phase, event.error, now);
      break;
    }
    case 'WorkerStuck':
      workerStays(state, event.generation);
      break;
    case 'WorkerExited':
      workerExited(state, event, now);
      break;
    case 'ModelLoaded': {
      const worker = workerOf(state, event.generation);
      if (worker?.phase === 'loading') modelLoaded(state, worker, event.loaded, now);
      break;
    }
    case 'LoadFailed': {
      const worker = workerOf(state, event.generation);
      if (worker?.phase !== 'loading') break;
      worker.phase = 'spent';
      loadFailed(state, event.error, true, now);
      break;
    }
    case 'TimeCame':
      state.timer = null;
      break;
    case 'CloseAsked':
      state.closing ??= { deadline: now + event.drainSeconds, done: false };
      state.load = null;
      break;
  }
}

/** Writes down that an effect is under way, or, where nobody has to do anything for it, done. */
function begun(state: State, effect: Effect): void {
  switch (effect.type) {
    case 'StartWorker': {
      const { generation, engine } = effect;
      state.generation = generation;
      if (state.lastEnd?.crash) state.restarts += 1;
      state.lastEnd = null;
      const nothing = { model: null, loaded: null, loadSeconds: null, fault: null, hungSince: null, killed: false };
      state.workers.push({ generation, engine, phase: 'starting', ...nothing });
      break;
    }
    case 'StopWorker': {
      const worker = workerOf(state, effect.generation)!;
      worker.phase = 'ending';
      worker.killed = effect.how === 'kill';
      break;
    }
    case 'ChooseSettings':
      state.choice = { model: effect.model, settings: null };
      break;
    case 'BeginLoad': {
      const { model, settings, previous, now } = effect;
      state.load = { model, settings, previous, attempt: 1, since: now, failure: null };
      state.spoiled = null;
      const [head] = state.line;
      if (head?.kind === 'load') head.previous = previous?.id ?? null;
      break;
    }
    case 'LoadModel': {
      const worker = workerOf(state, effect.generation)!;
      worker.phase = 'loading';
      worker.model = effect.model;
      break;
    }
    case 'GiveUpLoad':
      loadFailed(state, effect.error, false, state.load!.since);
      break;
    case 'BindJob': {
      const entry = entryOf(state, effect.id) as JobEntry;
      entry.check = 'asked';
      entry.boundFor = effect.selected;
      break;
    }
    case 'CheckLoad':
      entryOf(state, effect.id)!.check = 'asked';
      break;
    case 'StartJob': {
      const entry = removeEntry(state, effect.id) as JobEntry;
      entry.fixed = true;
      const { generation, now: startedAt } = effect;
      state.running.push({ entry, generation, startedAt, over: false, deafSince: null });
      break;
    }
    case 'FailJob': {
      const job = state.running.find(({ entry }) => entry.id === effect.id);
      if (job) job.over = true;
      else removeEntry(state, effect.id);
      break;
    }
    case 'AnswerLoad':
    case 'FailCommand':
      removeEntry(state, effect.id);
      break;
    case 'Drain': {
      const entry = entryOf(state, effect.id);
      if (entry?.kind === 'unload') entry.drainUntil = effect.until;
      break;
    }
    case 'CarryOutUnload': {
      const entry = removeEntry(state, effect.id);
      if (entry?.kind !== 'unload') break;
      state.acting = entry;
      if (entry.subject === null) forgetSelection(state);
      break;
    }
    case 'Select':
      state.selected = effect.model;
      break;
    case 'SetTimer':
      state.timer = effect.at;
      break;
    case 'Closed':
      if (state.closing) state.closing.done = true;
      break;
    case 'TellBroken':
    case 'TellCrash':
      break;
  }
}

/** In order of arrival; an unload goes before all jobs, though not before an older command. */
function queue(state: State, entry: LineEntry): void {
  const { line } = state;
  const place =
    entry.kind === 'unload'
      ? line.findLastIndex(({ kind }) => kind !== 'job') + 1
      : line.findIndex(({ kind, id }) => kind !== 'unload' && id > entry.id);
  line.splice(place < 0 ? line.length : place, 0, entry);
}

function jobEnded(state: State, id: number, again: boolean, now: number): void {
  const job = state.running.find(({ entry }) => entry.id === id);
  if (job === undefined) return;
  state.running = state.running.filter((other) => other !== job);
  if (again && !job.over) queue(state, { ...job.entry, alone: true, until: now + state.limits.queueSeconds });
  else state.secondsPerJob = averaged(state.secondsPerJob, now - job.startedAt);
}

/** The outcome is passed on at once; a job that runs stays until the engine has stopped. */
function failJob(state: State, id: number, error: AsrproError): void {
  const running = state.running.find(({ entry }) => entry.id === id);
  if (running?.over || (!running && entryOf(state, id) === undefined)) return;
  state.news.push({ type: 'FailJob', id, error });
}

/** Whoever waits for this model is told. */
function failWaiting(state: State, model: string, error: AsrproError): void {
  for (const entry of state.line) {
    if (entry.kind !== 'unload' && entry.model?.id === model) entry.failure ??= error;
  }
}

function commandCarriedOut(state: State, done: boolean): void {
  const subject = state.acting?.subject ?? null;
  state.acting = null;
  if (subject === null || !done) return;
  // Its files may be gone.
  if (state.selected === subject) forgetSelection(state);
  for (const entry of state.line) {
    if (entry.kind !== 'unload' && entry.model?.id === subject && entry.check === 'done') entry.check = 'due';
  }
}

function forgetSelection(state: State): void {
  if (state.selected === null) return;
  state.selected = null;
  state.news.push({ type: 'Select', model: null });
}

function workerExited(state: State, event: Extract<Event, { type: 'WorkerExited' }>, now: number): void {
  const worker = removeWorker(state, event.generation);
  if (worker === undefined) return;
  const { generation, engine, fault, phase, model, loaded } = worker;
  const crash = event.exit.endedBy !== 'us' || fault !== null;
  state.lastEnd = { crash, engine };
  if (crash) {
    state.lastError = `Worker ${generation} ${fault ?? describeExit(event.exit)}.`;
    state.news.push({ type: 'TellCrash', words: state.lastError });
  }
  const [head] = state.line;
  if (head?.kind === 'unload' && model !== null && loaded !== null && (head.subject ?? model.id) === model.id)
    head.ended = { generation, model: model.id };
  workerFailed(state, worker, phase, event.error, now);
}

/** What it means for others that a worker in this phase has come to an end nobody wanted. */
function workerFailed(
  state: State,
  { engine }: WorkerState,
  phase: WorkerState['phase'],
  error: AsrproError,
  now: number,
): void {
  if (phase === 'starting' || phase === 'ready') state.crashes.set(engine, [...(state.crashes.get(engine) ?? []), now]);
  if (phase === 'starting') startFailed(state, engine, error, now);
  if (phase === 'loading') loadFailed(state, error, true, now);
}

/** A failed start fails those whose turn it is. Where jobs still run it is only remembered, and tried again in time. */
function startFailed(state: State, engine: ModelEngine, error: AsrproError, now: number): void {
  if (state.load !== null) return loadFailed(state, error, false, now);
  if (state.running.length > 0) {
    state.spoiled = engine;
    return;
  }
  state.spoiled = null;
  const head = state.line.find((entry) => entry.kind !== 'unload' && entry.model?.engine === engine);
  if (head && head.kind !== 'unload') failWaiting(state, head.model!.id, error);
}

function workerStays(state: State, generation: number): void {
  const worker = workerOf(state, generation);
  if (worker === undefined) return;
  worker.phase = 'stuck';
  state.lastError = `Worker ${generation} was killed and does not end.`;
  // Nothing comes from it any more: its jobs are over, and must not keep others waiting.
  const error = new AsrproError('worker_crashed', 'The worker process was killed and does not end.');
  for (const { entry } of state.running) failJob(state, entry.id, error);
  state.running = state.running.filter((job) => job.generation !== generation);
}

function modelLoaded(state: State, worker: WorkerState, loaded: NonNullable<WorkerState['loaded']>, now: number): void {
  const load = state.load;
  worker.phase = 'loaded';
  worker.loaded = loaded;
  worker.loadSeconds = load === null ? null : now - load.since;
  state.crashes.delete(worker.engine);
  state.loadCrashes.delete(worker.model!.id);
  if (load?.failure) tellOutcome(state, load.failure, `The model '${load.model.id}' is loaded again.`);
  state.load = null;
}

/** @param again whether a second attempt makes sense: the process died, or the GPU may be the cause. */
function loadFailed(state: State, error: AsrproError, again: boolean, now: number): void {
  const load = state.load;
  if (load === null) return;
  const { model, settings, previous } = load;
  const crashed = noteLoadCrash(state.loadCrashes, model.id, error);
  const onGpu = settings !== null && settings.device !== 'cpu';
  if (again && load.attempt === 1 && error.code !== 'model_broken' && (crashed || onGpu)) {
    load.attempt = 2;
    if (onGpu) load.settings = { ...settings, device: 'cpu', compute_type: 'auto' };
    return;
  }
  if (error.code === 'model_broken') state.news.push({ type: 'TellBroken', model, error });
  state.load = null;
  // Chosen anew for the next try: the device may have been the cause.
  state.choice = null;
  if (load.failure !== null) {
    const outcome = `The model '${model.id}' that was loaded before could not be loaded again: ${error.message}`;
    return tellOutcome(state, load.failure, outcome);
  }
  failWaiting(state, model.id, error);
  if (previous === null) return;
  const stays = state.workers.some((worker) => worker.phase === 'loaded' && worker.model?.id === previous.id);
  if (!stays) state.load = { model: previous, settings: null, attempt: 1, since: now, previous: null, failure: error };
}

/** Adds what became of the model before to the error of those who wait for it. */
function tellOutcome(state: State, failure: AsrproError, outcome: string): void {
  const told = new AsrproError(failure.code, `${failure.message} ${outcome}`, {
    cause: failure,
    ...(failure.param === null ? {} : { param: failure.param }),
    ...(failure.hint === null ? {} : { hint: failure.hint }),
    ...(failure.retryAfterSeconds === null ? {} : { retryAfterSeconds: failure.retryAfterSeconds }),
  });
  for (const entry of state.line) if (entry.failure === failure) entry.failure = told;
}

function workerOf(state: State, generation: number | undefined): WorkerState | undefined {
  return state.workers.find((worker) => worker.generation === generation);
}

function removeWorker(state: State, generation: number): WorkerState | undefined {
  const worker = workerOf(state, generation);
  state.workers = state.workers.filter((other) => other !== worker);
  return worker;
}

function entryOf(state: State, id: number): LineEntry | undefined {
  return state.line.find((entry) => entry.id === id);
}

function removeEntry(state: State, id: number): LineEntry | undefined {
  const entry = entryOf(state, id);
  state.line = state.line.filter((other) => other !== entry);
  return entry;
}

import type { ModelEngine } from '../engine-table.ts';
import { AsrproError } from '../errors.ts';
import { describeExit } from '../worker/exit.ts';
import { failWaiting, loadFailed, modelLoaded } from './load-outcome.ts';
import { averaged } from './rate.ts';
import {
  type Event,
  entryOf,
  forgetSelection,
  jobOn,
  type LineEntry,
  type RunningJob,
  removeWorker,
  type State,
  type WorkerState,
  workerOf,
} from './state.ts';

/** Writes down what happened. Late news of what is gone already changes nothing. */
export function happened(state: State, event: Event, now: number): void {
  const entry = 'id' in event ? entryOf(state, event.id) : undefined;
  const job = 'id' in event ? jobOn(state, event.id) : undefined;
  const worker = workerOf(state, 'generation' in event ? event.generation : job?.generation);
  const wait = { until: now + state.limits.queueSeconds, check: 'due', failure: null } as const;
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
      queue(state, { kind: 'job', id, named, model: null, boundFor: null, fixed: false, alone: false, ...wait });
      break;
    }
    case 'JobBound':
      if (entry?.kind !== 'job') break;
      entry.model = event.model;
      entry.check = 'done';
      break;
    case 'JobLeft':
      failJob(state, event.id, event.error);
      break;
    case 'JobDeaf':
      if (job) job.deafSince ??= now;
      break;
    case 'JobHung':
      if (!worker) break;
      worker.hungSince ??= now;
      worker.fault = 'gave no sign of life and was ended';
      break;
    case 'JobEnded':
      if (job) jobEnded(state, job, event.again, now);
      break;
    case 'LoadAsked':
      state.loadCrashes.delete(event.model.id);
      queue(state, { kind: 'load', id: event.id, model: event.model, previous: undefined, ...wait });
      break;
    case 'LoadChecked':
      if (entry) entry.check = 'done';
      break;
    case 'CheckFailed':
      if (entry) entry.failure = event.error;
      break;
    case 'UnloadAsked': {
      const { id, subject } = event;
      const endless = { until: Number.POSITIVE_INFINITY, check: 'done', failure: null } as const;
      queue(state, { kind: 'unload', id, subject, drainUntil: null, ended: null, ...endless });
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
    case 'WorkerNotStarted':
      removeWorker(state, event.generation);
      if (worker?.phase === 'starting') startFailed(state, worker.engine, event.error, now);
      break;
    case 'WorkerUp':
      if (worker?.phase === 'starting') worker.phase = 'ready';
      break;
    case 'WorkerBroke': {
      if (!worker || worker.phase === 'ending' || worker.phase === 'stuck') break;
      const { phase } = worker;
      worker.phase = 'spent';
      worker.fault = 'broke the protocol or never said hello, and was ended';
      workerFailed(state, worker, phase, event.error, now);
      break;
    }
    case 'WorkerStuck':
      if (worker) workerStays(state, worker);
      break;
    case 'ClusterHeard':
      if (worker) worker.cutOffSince = event.reachable ? null : (worker.cutOffSince ?? now);
      break;
    case 'WorkerExited':
      if (worker) workerExited(state, worker, event, now);
      break;
    case 'ModelLoaded':
      if (worker?.phase === 'loading') modelLoaded(state, worker, event.loaded, now);
      break;
    case 'LoadFailed':
      if (worker?.phase !== 'loading') break;
      worker.phase = 'spent';
      loadFailed(state, event.error, true, now);
      break;
    case 'TimeCame':
      state.timer = null;
      break;
    case 'CloseAsked':
      state.closing ??= { deadline: now + event.drainSeconds, done: false };
      state.load = null;
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

function jobEnded(state: State, job: RunningJob, again: boolean, now: number): void {
  state.running = state.running.filter((other) => other !== job);
  if (again && !job.over) queue(state, { ...job.entry, alone: true, until: now + state.limits.queueSeconds });
  else state.secondsPerJob = averaged(state.secondsPerJob, now - job.startedAt);
}

/** The outcome is passed on at once; a job that runs stays until the engine has stopped. */
function failJob(state: State, id: number, error: AsrproError): void {
  const running = jobOn(state, id);
  if (running?.over || (!running && entryOf(state, id) === undefined)) return;
  state.news.push({ type: 'FailJob', id, error });
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

function workerExited(
  state: State,
  worker: WorkerState,
  event: Extract<Event, { type: 'WorkerExited' }>,
  now: number,
): void {
  removeWorker(state, event.generation);
  const { generation, engine, fault, phase, model, loaded, cutOffSince } = worker;
  // One whose cluster is gone ends sooner or later: no fault of its own, nor of the model's.
  const crash = fault !== null || (event.exit.endedBy !== 'us' && cutOffSince === null);
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
  { engine, cutOffSince }: WorkerState,
  phase: WorkerState['phase'],
  error: AsrproError,
  now: number,
): void {
  const early = (phase === 'starting' || phase === 'ready') && cutOffSince === null;
  if (early) state.crashes.set(engine, [...(state.crashes.get(engine) ?? []), now]);
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

function workerStays(state: State, worker: WorkerState): void {
  const { generation } = worker;
  worker.phase = 'stuck';
  state.lastError = `Worker ${generation} was killed and does not end.`;
  // Nothing comes from it any more: its jobs are over, and must not keep others waiting.
  const error = new AsrproError('worker_crashed', 'The worker process was killed and does not end.');
  for (const { entry } of state.running) failJob(state, entry.id, error);
  state.running = state.running.filter((job) => job.generation !== generation);
}

import type { ModelEngine } from '../engine-table.ts';
import { AsrproError } from '../errors.ts';
import { describeExit } from '../worker/exit.ts';
import { failWaiting, loadFailed, modelLoaded } from './load-outcome.ts';
import { averaged } from './rate.ts';
import {
  type Event,
  findEntry,
  findRunningJob,
  findWorker,
  forgetSelection,
  type QueueEntry,
  type RunningJob,
  removeWorker,
  type State,
  type WorkerRecord,
} from './state.ts';

/** Applies an event to the state. A late event about an entry, job or worker that no longer exists changes nothing. */
export function applyEvent(state: State, event: Event, now: number): void {
  const entry = 'id' in event ? findEntry(state, event.id) : undefined;
  const job = 'id' in event ? findRunningJob(state, event.id) : undefined;
  const worker = findWorker(state, 'generation' in event ? event.generation : job?.generation);
  const wait = { deadline: now + state.limits.queueSeconds, check: 'due', failure: null } as const;
  switch (event.type) {
    case 'SlotReserved':
      state.reserved += 1;
      break;
    case 'SlotReleased':
      state.reserved -= 1;
      break;
    case 'JobArrived': {
      state.reserved -= 1;
      const { id, namesModel } = event;
      const fresh = { model: null, boundFor: null, startedBefore: false, runsAlone: false };
      enqueue(state, { kind: 'job', id, namesModel, ...fresh, ...wait });
      break;
    }
    case 'JobBound':
      if (entry?.kind !== 'job') break;
      entry.model = event.model;
      entry.check = 'done';
      break;
    case 'JobCancelled':
      failJob(state, event.id, event.error);
      break;
    case 'JobIgnoredCancel':
      if (job) job.ignoredCancelSince ??= now;
      break;
    case 'JobHung':
      if (!worker) break;
      worker.hungSince ??= now;
      worker.fault = 'made no progress and was killed';
      break;
    case 'JobEnded':
      if (job) jobEnded(state, job, event.retry, now);
      break;
    case 'LoadRequested':
      state.loadCrashes.delete(event.model.id);
      enqueue(state, { kind: 'load', id: event.id, model: event.model, previous: undefined, ...wait });
      break;
    case 'LoadChecked':
      if (entry) entry.check = 'done';
      break;
    case 'CheckFailed':
      if (entry) entry.failure = event.error;
      break;
    case 'UnloadRequested': {
      const { id, modelId } = event;
      const noDeadline = { deadline: Number.POSITIVE_INFINITY, check: 'done', failure: null } as const;
      enqueue(state, { kind: 'unload', id, modelId, drainDeadline: null, ended: null, ...noDeadline });
      break;
    }
    case 'UnloadFinished':
      unloadFinished(state, event.succeeded);
      break;
    case 'SettingsChosen':
      if (state.nextSettings?.model.id === event.model.id) state.nextSettings.settings = event.settings;
      if (state.load?.model.id === event.model.id) state.load.settings ??= event.settings;
      break;
    case 'SettingsFailed':
      if (state.nextSettings?.model.id === event.model.id) state.nextSettings = null;
      if (state.load?.model.id === event.model.id) loadFailed(state, event.error, false, now);
      else failWaiting(state, event.model.id, event.error);
      break;
    case 'WorkerStartFailed':
      removeWorker(state, event.generation);
      if (worker?.phase === 'starting') startFailed(state, worker.engine, event.error, now);
      break;
    case 'WorkerReady':
      if (worker?.phase === 'starting') worker.phase = 'ready';
      break;
    case 'WorkerUnusable': {
      if (!worker || worker.phase === 'ending' || worker.phase === 'stuck') break;
      const { phase } = worker;
      worker.phase = 'unusable';
      worker.fault = 'broke the protocol or never sent hello, and was killed';
      workerFailed(state, worker, phase, event.error, now);
      break;
    }
    case 'WorkerStuck':
      if (worker) workerStuck(state, worker);
      break;
    case 'ClusterReported':
      if (worker) worker.unreachableSince = event.reachable ? null : (worker.unreachableSince ?? now);
      break;
    case 'WorkerExited':
      if (worker) workerExited(state, worker, event, now);
      break;
    case 'ModelLoaded':
      if (worker?.phase === 'loading') modelLoaded(state, worker, event.loaded, now);
      break;
    case 'LoadFailed':
      if (worker?.phase !== 'loading') break;
      worker.phase = 'unusable';
      loadFailed(state, event.error, true, now);
      break;
    case 'TimerFired':
      state.timer = null;
      break;
    case 'CloseRequested':
      state.closing ??= { deadline: now + event.drainSeconds, done: false };
      state.load = null;
      break;
  }
}

/** Keeps the order of arrival, except that an unload goes before all jobs, but not before an older command. */
function enqueue({ queue }: State, entry: QueueEntry): void {
  const index =
    entry.kind === 'unload'
      ? queue.findLastIndex(({ kind }) => kind !== 'job') + 1
      : queue.findIndex(({ kind, id }) => kind !== 'unload' && id > entry.id);
  queue.splice(index < 0 ? queue.length : index, 0, entry);
}

function jobEnded(state: State, job: RunningJob, retry: boolean, now: number): void {
  state.running = state.running.filter((other) => other !== job);
  if (retry && !job.settled)
    enqueue(state, { ...job.entry, runsAlone: true, deadline: now + state.limits.queueSeconds });
  else state.secondsPerJob = averaged(state.secondsPerJob, now - job.startedAt);
}

/** The client gets the error at once; a running job stays in `running` until the engine has stopped it. */
function failJob(state: State, id: number, error: AsrproError): void {
  const running = findRunningJob(state, id);
  if (running?.settled || (!running && findEntry(state, id) === undefined)) return;
  state.pendingEffects.push({ type: 'FailJob', id, error });
}

function unloadFinished(state: State, succeeded: boolean): void {
  const modelId = state.activeUnload?.modelId ?? null;
  state.activeUnload = null;
  if (modelId === null || !succeeded) return;
  // The action may have deleted the model.
  if (state.selected === modelId) forgetSelection(state);
  for (const entry of state.queue) {
    if (entry.kind !== 'unload' && entry.model?.id === modelId && entry.check === 'done') entry.check = 'due';
  }
}

function workerExited(
  state: State,
  worker: WorkerRecord,
  event: Extract<Event, { type: 'WorkerExited' }>,
  now: number,
): void {
  removeWorker(state, event.generation);
  const { generation, engine, fault, phase, model, loaded, unreachableSince } = worker;
  // A worker exits when its cluster is gone. Neither the worker nor the model is to blame, so this is no crash.
  const crash = fault !== null || (event.exit.endedBy !== 'us' && unreachableSince === null);
  state.lastExit = { crash, engine };
  if (crash) {
    state.lastError = `Worker ${generation} ${fault ?? describeExit(event.exit)}.`;
    state.pendingEffects.push({ type: 'ReportCrash', description: state.lastError });
  }
  const [head] = state.queue;
  if (head?.kind === 'unload' && model !== null && loaded !== null && (head.modelId ?? model.id) === model.id)
    head.ended = { generation, model: model.id };
  workerFailed(state, worker, phase, event.error, now);
}

/** Consequences of a worker that failed in this phase, for its engine and for a load in progress. */
function workerFailed(
  state: State,
  { engine, unreachableSince }: WorkerRecord,
  phase: WorkerRecord['phase'],
  error: AsrproError,
  now: number,
): void {
  const early = (phase === 'starting' || phase === 'ready') && unreachableSince === null;
  if (early) state.crashes.set(engine, [...(state.crashes.get(engine) ?? []), now]);
  if (phase === 'starting') startFailed(state, engine, error, now);
  if (phase === 'loading') loadFailed(state, error, true, now);
}

/** Fails the load, or the queue entries that need the engine. While jobs run, it only notes that a retry is due. */
function startFailed(state: State, engine: ModelEngine, error: AsrproError, now: number): void {
  if (state.load !== null) return loadFailed(state, error, false, now);
  if (state.running.length > 0) {
    state.failedPreparation = engine;
    return;
  }
  state.failedPreparation = null;
  const head = state.queue.find((entry) => entry.kind !== 'unload' && entry.model?.engine === engine);
  if (head && head.kind !== 'unload') failWaiting(state, head.model!.id, error);
}

function workerStuck(state: State, worker: WorkerRecord): void {
  const { generation } = worker;
  worker.phase = 'stuck';
  state.lastError = `Worker ${generation} was killed but does not exit.`;
  // It sends nothing more, so its jobs end here and do not block the queue.
  const error = new AsrproError('worker_crashed', 'The worker process was killed but does not exit.');
  for (const { entry } of state.running) failJob(state, entry.id, error);
  state.running = state.running.filter((job) => job.generation !== generation);
}

import type { ModelEngine } from '../engine-table.ts';
import type { AsrproError } from '../errors.ts';
import type { Model } from '../models/model.ts';
import { decideStart, type StartDecision } from '../worker/restart-policy.ts';
import { crashLoopError } from './load-outcome.ts';
import { coolingDown, shuttingDown, unloadedWhileRunning, waitedTooLong, workerStuck } from './refusals.ts';
import {
  concurrencyOf,
  type Effect,
  type JobEntry,
  type LoadEntry,
  loadedWorker,
  preparedWorker,
  type QueueEntry,
  type State,
  type UnloadEntry,
  type WorkerRecord,
} from './state.ts';

/** How long after the closing deadline killed processes may take to be gone and last answers to be written. */
export const CLOSE_GRACE_SECONDS = 1;
/** A head that restarts within this time may still know its machines; after it the cluster starts from scratch. */
const UNREACHABLE_SECONDS = 15;

/**
 * What to do now. Pure, and defined for every state. The first rule that has something to do decides. `Machine` asks
 * again until no rule has anything to do. The numbered comments are the list in docs/architecture.md: a test compares
 * the two.
 */
export function decide(state: State, now: number): Effect[] {
  for (const rule of rules) {
    const effects = rule(state, now);
    if (effects.length > 0) return effects;
  }
  return [];
}

type Rule = (state: State, now: number) => Effect[];

const rules: readonly Rule[] = [
  // 1 Pass on what the last event left to report: outcomes, the selection, a crash.
  (state) => state.pendingEffects,
  closing,
  endWorkers,
  failExpired,
  checkArrivals,
  continueLoad,
  unload,
  serveHead,
  setTimer,
];

// 2 Closing has one deadline.
function closing(state: State, now: number): Effect[] {
  if (state.closing === null || state.closing.done) return [];
  // 2.1 Refuse everything in the queue at once, including jobs that would be retried.
  if (state.queue.length > 0) return state.queue.map((entry) => fail(entry, shuttingDown()));
  const overdue = now >= state.closing.deadline;
  // 2.2 At the deadline, fail the jobs that still run.
  const jobs = overdue ? state.running.filter(({ settled }) => !settled) : [];
  if (jobs.length > 0) return jobs.map(({ entry }) => fail(entry, shuttingDown()));
  // 2.3 When no job runs, ask every worker to exit; at the deadline, kill it.
  if (overdue || state.running.length === 0) {
    const stops = state.workers.flatMap((worker) => stop(worker, overdue ? 'kill' : 'ask'));
    if (stops.length > 0) return stops;
  }
  // 2.4 Closing is finished when nothing is left, and in any case one second after the deadline.
  const nothingLeft = state.workers.length === 0 && state.running.length === 0 && state.activeUnload === null;
  return nothingLeft || now >= state.closing.deadline + CLOSE_GRACE_SECONDS ? [{ type: 'FinishClose' }] : [];
}

// 3 End workers that must not continue.
function endWorkers(state: State, now: number): Effect[] {
  const needed = nextModel(state)?.engine;
  return state.workers.flatMap((worker) => {
    const { phase } = worker;
    // 3.1 Kill a worker whose load failed or that broke the protocol.
    if (phase === 'unusable' || now >= killDeadline(state, worker)) return stop(worker, 'kill');
    // 3.3 Kill a prepared worker that nothing in the queue needs. It holds no model, so nothing is lost.
    const prepared = phase === 'starting' || phase === 'ready';
    return prepared && worker.engine !== needed ? stop(worker, 'kill') : [];
  });
}

/** When a loaded worker is killed for one of two reasons; Infinity: never. */
function killDeadline(state: State, worker: WorkerRecord): number {
  if (worker.phase !== 'loaded') return Number.POSITIVE_INFINITY;
  // 3.2 Kill a worker with a job that hangs or ignores its cancel, when its other jobs end or the drain time is over.
  const jobs = state.running.filter(({ generation }) => generation === worker.generation);
  const faults = [worker.hungSince, ...jobs.map((job) => job.ignoredCancelSince)].filter((time) => time !== null);
  const drainSeconds = jobs.some(({ settled }) => !settled) ? state.limits.drainSeconds : 0;
  // 3.4 Kill a worker whose cluster has been unreachable for 15 s. Its model is loaded again when a request needs it.
  const { unreachableSince } = worker;
  const unreachable = unreachableSince === null ? [] : [unreachableSince + UNREACHABLE_SECONDS];
  return Math.min(...faults.map((since) => since + drainSeconds), ...unreachable);
}

// 4 Fail queue entries that cannot be served.
function failExpired(state: State, now: number): Effect[] {
  for (const entry of state.queue) {
    if (entry.failure !== null) {
      // 4.1 Report a failure when no load is in progress, because the message says what became of the previous model.
      if (state.load === null) return [fail(entry, entry.failure)];
    } else if (now >= entry.deadline && isWaiting(state, entry)) {
      // 4.2 Fail an entry at its deadline, except a load that has begun: first in the queue, with no job running.
      return [fail(entry, waitedTooLong(state, entry))];
    }
  }
  return [];
}

function isWaiting(state: State, entry: QueueEntry): boolean {
  return entry.kind === 'job' || entry !== state.queue[0] || state.running.length > 0;
}

// 5 Check a new entry: the model that a job names, the files of a load. Not while an active unload may delete them.
function checkArrivals(state: State): Effect[] {
  if (state.activeUnload !== null) return [];
  return state.queue.flatMap((entry): Effect[] => {
    if (entry.check !== 'due' || entry.failure !== null) return [];
    if (entry.kind === 'load') return [{ type: 'CheckLoad', id: entry.id, model: entry.model }];
    return entry.kind === 'job' && entry.namesModel ? [{ type: 'BindJob', id: entry.id, selected: null }] : [];
  });
}

// 6 Continue a load in progress. Nothing interrupts it.
function continueLoad(state: State, now: number): Effect[] {
  const { load } = state;
  if (load === null || state.workers.some(({ phase }) => phase === 'loading')) return [];
  // 6.1 Abandon it while a killed process still holds a model in memory.
  if (stuckWithModel(state)) return [{ type: 'AbandonLoad', error: workerStuck() }];
  // 6.2 Choose its device and compute type.
  if (load.settings === null) return chooseSettings(state, load.model);
  // 6.3 Ask the worker of the previous model to exit.
  const previous = loadedWorker(state);
  if (previous !== undefined) return stop(previous, 'ask');
  // 6.4 Start a worker when the restart policy allows it; abandon the load when the engine has to cool down.
  const next = preparedWorker(state);
  if (next === undefined) {
    return startWorker(state, load.model.engine, now, (error) => [{ type: 'AbandonLoad', error }]);
  }
  // 6.5 Load the model when the worker is ready, no other process holds a model and no unload is active.
  const free = state.workers.every(({ model }) => model === null);
  if (next.phase !== 'ready' || !free || state.activeUnload !== null) return [];
  return [{ type: 'LoadModel', generation: next.generation, model: load.model, settings: load.settings }];
}

// 7 Execute an unload. It goes before all jobs, and one is executed at a time.
function unload(state: State, now: number): Effect[] {
  const [head] = state.queue;
  if (head?.kind !== 'unload' || state.load !== null || state.activeUnload !== null) return [];
  const affected = state.workers.filter(({ model }) => head.modelId === null || model?.id === head.modelId);
  // 7.1 Give running jobs the drain time, then fail them.
  const loaded = affected.find(({ phase }) => phase === 'loaded');
  if (loaded !== undefined && state.running.length > 0) return drain(state, head, loaded, now);
  // 7.2 Fail the unload when a worker it affects was killed and still exists.
  if (affected.some(({ phase }) => phase === 'stuck')) return [fail(head, workerStuck())];
  // 7.3 End the workers it affects, a prepared one too.
  if (affected.length > 0) return affected.flatMap((worker) => stop(worker, 'ask'));
  // 7.4 When they are gone, run its action and answer it.
  return [{ type: 'FinishUnload', id: head.id, ended: head.ended }];
}

function drain(state: State, head: UnloadEntry, { generation }: WorkerRecord, now: number): Effect[] {
  if (head.drainDeadline === null) {
    return [{ type: 'BeginDrain', id: head.id, deadline: now + state.limits.drainSeconds, generation }];
  }
  if (now < head.drainDeadline) return [];
  return state.running.flatMap(({ entry, settled }) => (settled ? [] : [fail(entry, unloadedWhileRunning())]));
}

// 8 Serve the job or load at the head of the queue.
function serveHead(state: State, now: number): Effect[] {
  const [head] = state.queue;
  if (head === undefined || head.kind === 'unload' || state.load !== null || head.failure !== null) return [];
  // 8.1 Bind a job that names no model to the selected or the default one, and again when the selection has changed.
  if (isUnbound(state, head)) {
    if (head.check === 'running' || state.activeUnload !== null) return [];
    return [{ type: 'BindJob', id: head.id, selected: state.selected }];
  }
  if (head.check !== 'done' || head.model === null) return [];
  const loaded = loadedWorker(state);
  if (loaded?.model?.id === head.model.id) return serveLoaded(state, head, loaded, now);
  if (state.activeUnload !== null) return [];
  // 8.3 Refuse a job whose model keeps crashing its worker.
  const crashLoop = head.kind === 'job' ? crashLoopError(state, head.model.id) : null;
  if (crashLoop !== null) return [fail(head, crashLoop)];
  // 8.4 Refuse to load another model while a killed process still holds one in memory.
  if (stuckWithModel(state)) return [fail(head, workerStuck())];
  return prepareSwitch(state, head, head.model, now);
}

function serveLoaded(
  state: State,
  head: JobEntry | LoadEntry,
  { generation, model, hungSince }: WorkerRecord,
  now: number,
): Effect[] {
  // 8.2 If its model is loaded: answer a load; start a job when there is room, alone if it may have crashed a worker.
  const { running } = state;
  const isAboutToEnd = hungSince !== null || running.some(({ ignoredCancelSince }) => ignoredCancelSince !== null);
  if (isAboutToEnd) return [];
  if (head.kind === 'load') {
    const previous = head.previous === undefined ? head.model.id : head.previous;
    return [...select(state, head.model), { type: 'AnswerLoad', id: head.id, previous }];
  }
  const runsAlone = head.runsAlone || running.some(({ entry }) => entry.runsAlone);
  if (running.length >= (runsAlone ? 1 : concurrencyOf(state))) return [];
  const selection = head.namesModel && model !== null ? select(state, model) : [];
  return [...selection, { type: 'StartJob', id: head.id, generation, now }];
}

function prepareSwitch(state: State, head: QueueEntry, model: Model, now: number): Effect[] {
  // 8.5 Otherwise choose settings and start a worker, which imports its engine while the running jobs finish.
  const idle = state.running.length === 0;
  const choosing = chooseSettings(state, model);
  if (choosing.length > 0) return choosing;
  const next = preparedWorker(state);
  if (next === undefined) {
    // While jobs run, one attempt is enough: a failed start is only reported once the model's turn has come.
    if (!idle && state.failedPreparation === model.engine) return [];
    return startWorker(state, model.engine, now, (error) => (idle ? [fail(head, error)] : []));
  }
  // 8.6 When no job runs and that worker is ready, begin the load.
  const settings = state.nextSettings?.settings;
  if (!idle || next.phase !== 'ready' || !settings) return [];
  return [{ type: 'BeginLoad', model, settings, previous: loadedWorker(state)?.model ?? null, now }];
}

// 9 Set the timer to the next moment at which one of these rules decides differently.
function setTimer(state: State, now: number): Effect[] {
  const at = nextMoment(state, now);
  return at === state.timer ? [] : [{ type: 'SetTimer', at }];
}

function nextMoment(state: State, now: number): number | null {
  if (state.closing?.done) return null;
  const [head] = state.queue;
  const next = nextModel(state);
  const start = next !== null && preparedWorker(state) === undefined ? startDecision(state, next.engine, now) : null;
  const moments = [
    ...(state.closing === null ? [] : [state.closing.deadline, state.closing.deadline + CLOSE_GRACE_SECONDS]),
    ...state.workers.map((worker) => killDeadline(state, worker)),
    ...state.queue.map(({ deadline }) => deadline),
    ...(head?.kind === 'unload' && head.drainDeadline !== null ? [head.drainDeadline] : []),
    ...(start?.start ? [now + start.delaySeconds] : []),
  ];
  const earliest = Math.min(...moments.filter((moment) => moment > now));
  if (!Number.isFinite(earliest)) return null;
  // The delay of a start counts from `now`, so rounding moves its moment a little: keep the timer that is set.
  return state.timer !== null && Math.abs(earliest - state.timer) < 1e-6 ? state.timer : earliest;
}

/** The model to load next: that of the load in progress, else the first in the queue that is not loaded. */
function nextModel(state: State): Model | null {
  if (state.closing !== null) return null;
  if (state.load !== null) return state.load.model;
  const [head] = state.queue;
  if (head?.kind === 'unload' && head.modelId === null) return null;
  const loaded = loadedWorker(state)?.model?.id;
  for (const entry of state.queue) {
    if (entry.kind !== 'unload' && entry.failure === null && entry.model !== null && entry.model.id !== loaded)
      return entry.model;
  }
  return null;
}

function isUnbound(state: State, entry: JobEntry | LoadEntry): boolean {
  if (entry.kind === 'load' || entry.namesModel || entry.startedBefore) return false;
  return entry.check !== 'done' || entry.boundFor !== state.selected;
}

function stuckWithModel(state: State): boolean {
  return state.workers.some(({ phase, model }) => phase === 'stuck' && model !== null);
}

function stop({ phase, killed, generation }: WorkerRecord, how: 'ask' | 'kill'): Effect[] {
  const alreadyTold = phase === 'stuck' || (phase === 'ending' && (how === 'ask' || killed));
  // A worker without a model has nothing to lose, and cannot receive a message before its hello.
  const hasNoModel = phase === 'starting' || phase === 'ready';
  return alreadyTold ? [] : [{ type: 'StopWorker', generation, how: hasNoModel ? 'kill' : how }];
}

/** Starts a worker when the restart policy allows it. @param refused what to do while the engine cools down. */
function startWorker(
  state: State,
  engine: ModelEngine,
  now: number,
  refused: (error: AsrproError) => Effect[],
): Effect[] {
  const decision = startDecision(state, engine, now);
  if (!decision.start) return refused(coolingDown(state, decision.retryAfterSeconds));
  return decision.delaySeconds > 0 ? [] : [{ type: 'StartWorker', generation: state.generation + 1, engine }];
}

function startDecision(state: State, engine: ModelEngine, now: number): StartDecision {
  const crashes = state.crashes.get(engine) ?? [];
  // The jitter comes from the fraction of a second of the last crash, so that this stays a function of the state.
  return decideStart(crashes, now, (crashes.at(-1) ?? 0) % 1);
}

function chooseSettings({ nextSettings }: State, model: Model): Effect[] {
  return nextSettings?.model.id === model.id ? [] : [{ type: 'ChooseSettings', model }];
}

function select(state: State, model: Model): Effect[] {
  return state.selected === model.id ? [] : [{ type: 'SelectModel', model: model.id }];
}

function fail({ kind, id }: QueueEntry, error: AsrproError): Effect {
  return { type: kind === 'job' ? 'FailJob' : 'FailCommand', id, error };
}

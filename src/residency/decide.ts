import type { ModelEngine } from '../engine-table.ts';
import { AsrproError } from '../errors.ts';
import type { Model } from '../models/model.ts';
import { decideStart, type StartDecision } from '../worker/restart-policy.ts';
import { refusal } from './load-outcome.ts';
import { retryAfterSeconds } from './rate.ts';
import {
  type Effect,
  type JobEntry,
  type LineEntry,
  type LoadEntry,
  loadedWorker,
  type State,
  type UnloadEntry,
  type WorkerState,
} from './state.ts';

/** Beyond the closing deadline, for killed processes to be gone and last answers to be written. */
export const CLOSE_GRACE_SECONDS = 1;
/** A worker that was killed and is still there may end in a minute, or never. */
const STUCK_RETRY_SECONDS = 60;
/** A head that comes back within this time may know its machines again; after it everything is begun anew. */
const CUT_OFF_SECONDS = 15;

/**
 * What is to be done now. Pure, and total: every state has an answer. It is asked after every event, and again after its
 * effects are noted, until there is nothing to do; the first rule that has something to do decides.
 *
 * 1. What an event brought along is passed on: outcomes, the selection, words about a crash.
 * 2. Closing has one deadline.
 *    1. Whatever waits is refused at once, and so is what would be tried again.
 *    2. At the deadline the running jobs end.
 *    3. When no job runs every worker is asked to end; at the deadline each is killed.
 *    4. It is over when nothing is left, or a second after the deadline whatever is left.
 * 3. A worker that has to end is ended.
 *    1. One whose load failed, or that broke the protocol: killed.
 *    2. One with a job that hangs or does not stop: killed when its other jobs are done, at the latest after the drain time.
 *    3. One that was prepared and that nobody in line needs: killed, there is nothing in it to lose.
 *    4. One whose cluster has been out of reach for a while: killed, the model is loaded anew when somebody wants it.
 * 4. What waits in vain is told so: what failed (when no load is under way, to say what became of the model before), and
 *    what has waited too long. A load that is first in line and has no job before it is not waiting any more.
 * 5. What is named is looked at on arrival: the model of a request, the files of a load. Not while a command is carried
 *    out, which may be deleting them.
 * 6. A load under way is not interrupted.
 *    1. Where it cannot be done (no settings, no worker, a killed process still holds its memory) it is given up.
 *    2. The model before is asked to end.
 *    3. A worker is started, when the restart policy allows.
 *    4. The model is loaded when no other process holds one.
 * 7. An unload goes before all jobs. One at a time is carried out.
 *    1. The running jobs get the drain time, then they are ended.
 *    2. The workers that it is about end, the prepared one too. One that was killed and is still there: the caller is told.
 *    3. With all of them gone it is carried out and answered.
 * 8. The first in line, a job or a load:
 *    1. A request without a model is bound to the selected one, else the default, and again if that has changed.
 *    2. For the loaded model: a load is answered; a job starts when there is room, and alone if it is under suspicion.
 *    3. A model that keeps killing its worker is refused to jobs.
 *    4. Another model: settings are chosen and a worker is started and imports its engine while the running jobs end.
 *    5. With no job running and that worker up, the load begins.
 * 9. The clock is set to the next moment at which one of these changes.
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
  (state) => state.news, // 1
  closing,
  endWorkers,
  endWaits,
  lookAtNamed,
  continueLoad,
  unload,
  serveFirst,
  setClock,
];

// 2
function closing(state: State, now: number): Effect[] {
  if (state.closing === null || state.closing.done) return [];
  if (state.line.length > 0) return state.line.map((entry) => tell(entry, stopping())); // 2.1
  const late = now >= state.closing.deadline;
  const jobs = late ? state.running.filter(({ over }) => !over) : [];
  if (jobs.length > 0) return jobs.map(({ entry }) => ({ type: 'FailJob', id: entry.id, error: stopping() })); // 2.2
  if (late || state.running.length === 0) {
    const stops = state.workers.flatMap((worker) => stop(worker, late ? 'kill' : 'ask')); // 2.3
    if (stops.length > 0) return stops;
  }
  const nothingLeft = state.workers.length === 0 && state.running.length === 0 && state.acting === null;
  if (nothingLeft || now >= state.closing.deadline + CLOSE_GRACE_SECONDS) return [{ type: 'Closed' }]; // 2.4
  return [];
}

// 3
function endWorkers(state: State, now: number): Effect[] {
  const needed = modelWanted(state)?.engine;
  return state.workers.flatMap((worker) => {
    const { phase } = worker;
    if (phase === 'spent') return stop(worker, 'kill'); // 3.1
    if (now >= endOfPatience(state, worker)) return stop(worker, 'kill'); // 3.2
    const prepared = phase === 'starting' || phase === 'ready';
    return prepared && worker.engine !== needed ? stop(worker, 'kill') : []; // 3.3
  });
}

// 4
function endWaits(state: State, now: number): Effect[] {
  for (const entry of state.line) {
    if (entry.failure !== null) {
      if (state.load === null) return [tell(entry, entry.failure)];
    } else if (now >= entry.until && waits(state, entry)) {
      return [tell(entry, waitedTooLong(state, entry))];
    }
  }
  return [];
}

// 5
function lookAtNamed(state: State): Effect[] {
  // A command that is being carried out may be deleting a model.
  if (state.acting !== null) return [];
  return state.line.flatMap((entry): Effect[] => {
    if (entry.check !== 'due' || entry.failure !== null) return [];
    if (entry.kind === 'load') return [{ type: 'CheckLoad', id: entry.id, model: entry.model }];
    return entry.kind === 'job' && entry.named ? [{ type: 'BindJob', id: entry.id, selected: null }] : [];
  });
}

// 6
function continueLoad(state: State, now: number): Effect[] {
  const { load } = state;
  if (load === null || state.workers.some(({ phase }) => phase === 'loading')) return [];
  if (stuckWithModel(state)) return [{ type: 'GiveUpLoad', error: workerStuck() }]; // 6.1
  if (load.settings === null) return chooseSettings(state, load.model);
  const before = loadedWorker(state);
  if (before !== undefined) return stop(before, 'ask'); // 6.2
  const next = prepared(state);
  if (next === undefined) {
    return startWorker(state, load.model.engine, now, (error) => [{ type: 'GiveUpLoad', error }]); // 6.3
  }
  const free = state.workers.every(({ model }) => model === null);
  if (next.phase !== 'ready' || !free || state.acting !== null) return [];
  return [{ type: 'LoadModel', generation: next.generation, model: load.model, settings: load.settings }]; // 6.4
}

// 7
function unload(state: State, now: number): Effect[] {
  const [head] = state.line;
  if (head?.kind !== 'unload' || state.load !== null || state.acting !== null) return [];
  const about = state.workers.filter(({ model }) => head.subject === null || model?.id === head.subject);
  const loaded = about.find(({ phase }) => phase === 'loaded');
  if (loaded !== undefined && state.running.length > 0) return drain(state, head, loaded, now); // 7.1
  if (about.some(({ phase }) => phase === 'stuck')) return [tell(head, workerStuck())];
  if (about.length > 0) return about.flatMap((worker) => stop(worker, 'ask')); // 7.2
  return [{ type: 'CarryOutUnload', id: head.id, ended: head.ended }]; // 7.3
}

function drain(state: State, head: UnloadEntry, worker: WorkerState, now: number): Effect[] {
  if (head.drainUntil === null) {
    const until = now + state.limits.drainSeconds;
    return [{ type: 'Drain', id: head.id, until, generation: worker.generation }];
  }
  if (now < head.drainUntil) return [];
  const error = new AsrproError('model_unloaded', 'The model was unloaded on request while this job ran.', {
    retryAfterSeconds: 1,
  });
  return state.running.flatMap(({ entry, over }) => (over ? [] : [{ type: 'FailJob', id: entry.id, error }]));
}

// 8
function serveFirst(state: State, now: number): Effect[] {
  const [head] = state.line;
  if (head === undefined || head.kind === 'unload' || state.load !== null || head.failure !== null) return [];
  if (isUnbound(state, head))
    return head.check === 'asked' || state.acting !== null
      ? []
      : [{ type: 'BindJob', id: head.id, selected: state.selected }]; // 8.1
  if (head.check !== 'done' || head.model === null) return [];
  const loaded = loadedWorker(state);
  if (loaded?.model?.id === head.model.id) return serveLoaded(state, head, loaded, now); // 8.2
  if (state.acting !== null) return [];
  const reason = head.kind === 'job' ? refusal(state, head.model.id) : null;
  if (reason !== null) return [tell(head, reason)]; // 8.3
  if (stuckWithModel(state)) return [tell(head, workerStuck())];
  return prepare(state, head, head.model, now);
}

function serveLoaded(
  state: State,
  head: JobEntry | LoadEntry,
  { generation, loaded, model, hungSince }: WorkerState,
  now: number,
): Effect[] {
  const { running } = state;
  // It is about to be ended.
  if (hungSince !== null || running.some(({ deafSince }) => deafSince !== null)) return [];
  if (head.kind === 'load') {
    const previous = head.previous === undefined ? head.model.id : head.previous;
    return [...select(state, head.model), { type: 'AnswerLoad', id: head.id, previous }];
  }
  const alone = running.some(({ entry }) => entry.alone);
  const room = head.alone ? running.length === 0 : running.length < (loaded?.concurrency ?? 1) && !alone;
  if (!room) return [];
  return [
    ...(head.named && model !== null ? select(state, model) : []),
    { type: 'StartJob', id: head.id, generation, now },
  ];
}

function prepare(state: State, head: LineEntry, model: Model, now: number): Effect[] {
  const idle = state.running.length === 0;
  const choosing = chooseSettings(state, model);
  if (choosing.length > 0) return choosing;
  const next = prepared(state);
  if (next === undefined) {
    // In the background one try is enough: a failure is told to nobody until it matters.
    if (!idle && state.spoiled === model.engine) return [];
    return startWorker(state, model.engine, now, (error) => (idle ? [tell(head, error)] : [])); // 8.4
  }
  const settings = state.choice?.settings;
  if (!idle || next.phase !== 'ready' || !settings) return [];
  const previous = loadedWorker(state)?.model ?? null;
  return [{ type: 'BeginLoad', model, settings, previous, now }]; // 8.5
}

// 9
function setClock(state: State, now: number): Effect[] {
  const at = nextMoment(state, now);
  return at === state.timer ? [] : [{ type: 'SetTimer', at }];
}

/** The earliest time in the future at which a rule above decides differently; null: none. */
function nextMoment(state: State, now: number): number | null {
  if (state.closing?.done) return null;
  const [head] = state.line;
  const wanted = modelWanted(state);
  const start = wanted !== null && prepared(state) === undefined ? startDecision(state, wanted.engine, now) : null;
  const moments = [
    ...(state.closing === null ? [] : [state.closing.deadline, state.closing.deadline + CLOSE_GRACE_SECONDS]),
    ...state.workers.map((worker) => endOfPatience(state, worker)),
    ...state.line.map(({ until }) => until),
    ...(head?.kind === 'unload' && head.drainUntil !== null ? [head.drainUntil] : []),
    ...(start?.start ? [now + start.delaySeconds] : []),
  ];
  const future = moments.filter((moment) => moment > now && Number.isFinite(moment));
  // A start may be a little later with each look at it (its delay counts from now): the clock is not set anew for that.
  const next = future.length === 0 ? null : Math.min(...future);
  return next !== null && state.timer !== null && Math.abs(next - state.timer) < 1e-6 ? state.timer : next;
}

/** When a worker with a job that hangs or does not stop, or whose cluster is gone, is ended; Infinity for all others. */
function endOfPatience(state: State, worker: WorkerState): number {
  if (worker.phase !== 'loaded') return Number.POSITIVE_INFINITY;
  const { cutOffSince } = worker;
  const cutOff = cutOffSince === null ? Number.POSITIVE_INFINITY : cutOffSince + CUT_OFF_SECONDS; // 3.4
  return Math.min(endOfJobs(state, worker), cutOff);
}

function endOfJobs(state: State, { generation, hungSince }: WorkerState): number {
  const jobs = state.running.filter((job) => job.generation === generation);
  const since = Math.min(...[hungSince, ...jobs.map(({ deafSince }) => deafSince)].filter((time) => time !== null));
  if (!Number.isFinite(since)) return since;
  return jobs.some(({ over }) => !over) ? since + state.limits.drainSeconds : since;
}

/** The model that is loaded next for somebody: of the load under way, else of the first who needs another than the loaded. */
function modelWanted(state: State): Model | null {
  if (state.closing !== null) return null;
  if (state.load !== null) return state.load.model;
  const [head] = state.line;
  if (head?.kind === 'unload' && head.subject === null) return null;
  const loaded = loadedWorker(state)?.model?.id;
  for (const entry of state.line) {
    if (entry.kind !== 'unload' && entry.failure === null && entry.model !== null && entry.model.id !== loaded)
      return entry.model;
  }
  return null;
}

function prepared(state: State): WorkerState | undefined {
  return state.workers.find(({ phase }) => phase === 'starting' || phase === 'ready');
}

function isUnbound(state: State, entry: JobEntry | LoadEntry): boolean {
  return (
    entry.kind === 'job' &&
    !entry.named &&
    !entry.fixed &&
    (entry.check !== 'done' || entry.boundFor !== state.selected)
  );
}

/** A load that is first in line with no job before it is being carried out, however long it takes. */
function waits(state: State, entry: LineEntry): boolean {
  return entry.kind === 'job' || entry !== state.line[0] || state.running.length > 0;
}

function stuckWithModel(state: State): boolean {
  return state.workers.some(({ phase, model }) => phase === 'stuck' && model !== null);
}

function stop({ phase, killed, generation }: WorkerState, how: 'ask' | 'kill'): Effect[] {
  const told = phase === 'stuck' || (phase === 'ending' && (how === 'ask' || killed));
  // One without a model has nothing to lose, and before its hello it hears nothing.
  const hard = phase === 'starting' || phase === 'ready' ? 'kill' : how;
  return told ? [] : [{ type: 'StopWorker', generation, how: hard }];
}

/** When the restart policy allows. @param refused what is done when the engine is left to cool down. */
function startWorker(
  state: State,
  engine: ModelEngine,
  now: number,
  refused: (error: AsrproError) => Effect[],
): Effect[] {
  const decision = startDecision(state, engine, now);
  if (!decision.start) return refused(keepsCrashing(state, decision.retryAfterSeconds));
  return decision.delaySeconds > 0 ? [] : [{ type: 'StartWorker', generation: state.generation + 1, engine }];
}

function startDecision(state: State, engine: ModelEngine, now: number): StartDecision {
  const crashes = state.crashes.get(engine) ?? [];
  // The fraction of a second of the last crash is as good as a random number, and leaves this a function of the state.
  return decideStart({ crashes }, now, (crashes.at(-1) ?? 0) % 1);
}

function chooseSettings({ choice }: State, model: Model): Effect[] {
  return choice?.model.id === model.id ? [] : [{ type: 'ChooseSettings', model }];
}

function select(state: State, model: Model): Effect[] {
  return state.selected === model.id ? [] : [{ type: 'Select', model: model.id }];
}

function tell(entry: LineEntry, error: AsrproError): Effect {
  return { type: entry.kind === 'job' ? 'FailJob' : 'FailCommand', id: entry.id, error };
}

function waitedTooLong(state: State, entry: LineEntry): AsrproError {
  const { queueSeconds } = state.limits;
  const loaded = loadedWorker(state);
  const waiting = state.line.filter(({ kind }) => kind === 'job').length;
  const details = {
    retryAfterSeconds: retryAfterSeconds(state.secondsPerJob, waiting, loaded?.loaded?.concurrency ?? 1),
  };
  if (entry.kind !== 'job') {
    return new AsrproError('model_busy', `Running requests did not end within ${queueSeconds} s.`, details);
  }
  const busy = loaded ? 'for a free place' : 'for the model to be loaded';
  return new AsrproError('queue_timeout', `The request waited ${queueSeconds} s ${busy}.`, details);
}

export function stopping(): AsrproError {
  return new AsrproError('shutting_down', 'The server is stopping.', { retryAfterSeconds: 5 });
}

export function workerStuck(): AsrproError {
  return new AsrproError(
    'worker_stuck',
    'The worker process was killed and does not end; until it is gone its memory is not free and no model is loaded.',
    {
      hint: 'The system holds it, for example in a driver or on a network drive; if it stays, restart the machine.',
      retryAfterSeconds: STUCK_RETRY_SECONDS,
    },
  );
}

function keepsCrashing({ lastError }: State, retryAfter: number): AsrproError {
  const message = `The worker keeps crashing and is left to cool down. ${lastError ?? ''}`.trim();
  return new AsrproError('model_busy', message, { retryAfterSeconds: retryAfter });
}

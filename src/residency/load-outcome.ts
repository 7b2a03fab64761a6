import { AsrproError } from '../errors.ts';
import { loadedWorker, type State, type WorkerRecord } from './state.ts';

/** After this many crashes during its load, the model is to blame and not the machine. */
const REFUSED_AFTER = 3;
/** Not `worker_start_failed`: when a worker dies before it gets the model, the restart policy handles that. */
const CRASHES = new Set(['worker_crashed', 'worker_unresponsive', 'out_of_memory']);

export function modelLoaded(
  state: State,
  worker: WorkerRecord,
  loaded: NonNullable<WorkerRecord['loaded']>,
  now: number,
): void {
  const load = state.load;
  worker.phase = 'loaded';
  worker.loaded = loaded;
  worker.loadSeconds = load === null ? null : now - load.since;
  state.crashes.delete(worker.engine);
  state.loadCrashes.delete(worker.model!.id);
  if (load?.failure) addOutcome(state, load.failure, `The model '${load.model.id}' is loaded again.`);
  state.load = null;
}

/** @param mayRetry the failure came from the worker, so that a fresh worker or the CPU may succeed. */
export function loadFailed(state: State, error: AsrproError, mayRetry: boolean, now: number): void {
  const load = state.load;
  if (load === null) return;
  const { model, settings, previous } = load;
  const crashed = countLoadCrash(state, model.id, error);
  const onCluster = settings?.cluster != null;
  const onGpu = settings !== null && settings.device !== 'cpu' && !onCluster;
  if (mayRetry && load.attempt === 1 && error.code !== 'model_broken' && (crashed || onGpu)) {
    load.attempt = 2;
    if (onGpu) load.settings = { ...settings, device: 'cpu', compute_type: 'auto' };
    return;
  }
  if (error.code === 'model_broken') state.pendingEffects.push({ type: 'ReportBrokenModel', model, error });
  state.load = null;
  // The device may have been the cause: choose the settings again for the next load.
  state.nextSettings = null;
  if (load.failure !== null) {
    const outcome = `The model '${model.id}' that was loaded before could not be loaded again: ${error.message}`;
    return addOutcome(state, load.failure, outcome);
  }
  failWaiting(state, model.id, error);
  if (previous === null) return;
  if (loadedWorker(state)?.model?.id !== previous.id)
    state.load = { model: previous, settings: null, attempt: 1, since: now, previous: null, failure: error };
}

/** Adds what became of the previous model to the error of the queue entries that wait for this outcome. */
function addOutcome(state: State, failure: AsrproError, outcome: string): void {
  const extended = new AsrproError(failure.code, `${failure.message} ${outcome}`, {
    cause: failure,
    ...(failure.param === null ? {} : { param: failure.param }),
    ...(failure.hint === null ? {} : { hint: failure.hint }),
    ...(failure.retryAfterSeconds === null ? {} : { retryAfterSeconds: failure.retryAfterSeconds }),
  });
  for (const entry of state.queue) if (entry.failure === failure) entry.failure = extended;
}

/** Fails the queue entries that wait for this model. */
export function failWaiting(state: State, model: string, error: AsrproError): void {
  for (const entry of state.queue) {
    if (entry.kind !== 'unload' && entry.model?.id === model) entry.failure ??= error;
  }
}

/** Counts the error when it means that the process died; returns whether it does. */
function countLoadCrash({ loadCrashes }: State, model: string, error: AsrproError): boolean {
  if (!CRASHES.has(error.code)) return false;
  loadCrashes.set(model, { count: (loadCrashes.get(model)?.count ?? 0) + 1, reason: error.message });
  return true;
}

/** Why a job does not get the model; null when loading it may be tried. */
export function crashLoopError({ loadCrashes }: State, model: string): AsrproError | null {
  const entry = loadCrashes.get(model);
  if (entry === undefined || entry.count < REFUSED_AFTER) return null;
  return new AsrproError(
    'model_load_failed',
    `Loading the model '${model}' crashed the worker ${entry.count} times, so it is not tried again: ${entry.reason}`,
    { param: 'model', hint: 'POST /v1/settings/model tries it once more.' },
  );
}

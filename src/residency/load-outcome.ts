import { AsrproError } from '../errors.ts';
import { loadedWorker, type State, type WorkerState } from './state.ts';

/** So many crashes while loading and the model is to blame, not the machine. */
const REFUSED_AFTER = 3;
/** Not `worker_start_failed`: a worker that dies before it heard of the model is the restart policy's. */
const CRASHES = new Set(['worker_crashed', 'worker_unresponsive', 'out_of_memory']);

export function modelLoaded(
  state: State,
  worker: WorkerState,
  loaded: NonNullable<WorkerState['loaded']>,
  now: number,
): void {
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
export function loadFailed(state: State, error: AsrproError, again: boolean, now: number): void {
  const load = state.load;
  if (load === null) return;
  const { model, settings, previous } = load;
  const crashed = noteLoadCrash(state, model.id, error);
  const onCluster = settings?.cluster != null;
  const onGpu = settings !== null && settings.device !== 'cpu' && !onCluster;
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
  if (loadedWorker(state)?.model?.id !== previous.id)
    state.load = { model: previous, settings: null, attempt: 1, since: now, previous: null, failure: error };
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

/** Whoever waits for this model is told. */
export function failWaiting(state: State, model: string, error: AsrproError): void {
  for (const entry of state.line) {
    if (entry.kind !== 'unload' && entry.model?.id === model) entry.failure ??= error;
  }
}

/** Counts the error if it means that the process died; false where it does not. */
function noteLoadCrash({ loadCrashes }: State, model: string, error: AsrproError): boolean {
  if (!CRASHES.has(error.code)) return false;
  loadCrashes.set(model, { count: (loadCrashes.get(model)?.count ?? 0) + 1, reason: error.message });
  return true;
}

/** Why a request does not get the model; null where it may be tried. */
export function refusal({ loadCrashes }: State, model: string): AsrproError | null {
  const entry = loadCrashes.get(model);
  if (entry === undefined || entry.count < REFUSED_AFTER) return null;
  return new AsrproError(
    'model_load_failed',
    `The model '${model}' crashed ${entry.count} times while it was loaded and is not tried again: ${entry.reason}`,
    { param: 'model', hint: 'Load it with POST /v1/settings/model to try once more.' },
  );
}

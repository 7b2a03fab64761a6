import { AsrproError } from '../errors.ts';
import { noteLoadCrash } from './load-crashes.ts';
import type { State, WorkerState } from './state.ts';

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
  const crashed = noteLoadCrash(state.loadCrashes, model.id, error);
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

/** Whoever waits for this model is told. */
export function failWaiting(state: State, model: string, error: AsrproError): void {
  for (const entry of state.line) {
    if (entry.kind !== 'unload' && entry.model?.id === model) entry.failure ??= error;
  }
}

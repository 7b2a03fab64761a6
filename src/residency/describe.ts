import type { Model } from '../models/model.ts';
import { decideStart } from '../worker/restart-policy.ts';
import { loadedWorker, type State, type WorkerState } from './state.ts';
import type { QueueHealth, ResidentStatus, WorkerHealth } from './types.ts';

/** What is loaded, in the words of `GET /v1/settings/model`; memory is asked of the process. */
export function describeModel(state: State): Omit<ResidentStatus, 'memoryBytes'> {
  const nothing = { device: null, computeType: null, loadSeconds: null };
  const { load, workers, line } = state;
  const loaded = loadedWorker(state);
  if (loaded?.model && loaded.loaded) {
    const { device, compute_type: computeType } = loaded.loaded;
    return { model: loaded.model.id, status: 'loaded', device, computeType, loadSeconds: loaded.loadSeconds };
  }
  if (load !== null) return { model: load.model.id, status: 'loading', ...nothing };
  const leaving = workers.find(({ model }) => model !== null);
  if (leaving?.model) return { model: leaving.model.id, status: 'unloading', ...nothing };
  const preparing = workers.some(({ phase }) => phase === 'starting' || phase === 'ready');
  const [head] = line;
  if (preparing && head !== undefined && head.kind !== 'unload' && head.model !== null)
    return { model: head.model.id, status: 'loading', ...nothing };
  return { model: null, status: 'none', ...nothing };
}

/**
 * What the model can do and knows: what the loaded worker says of itself is in force; before that, what its files or the
 * catalogue say. The only place that decides between the two. A task that the known kind of model was not trained for stays
 * refused: the worker cannot tell a turbo whose configuration names no layers from a model that translates.
 */
export function inForce(state: State, model: Model): Model {
  const { model: its, loaded } = loadedWorker(state) ?? {};
  if (!loaded || its?.id !== model.id) return model;
  const { word_timestamps: wordTimestamps, logprobs } = loaded.capabilities;
  const tasks = loaded.capabilities.tasks.filter(
    (task) => model.family === null || model.capabilities.tasks.includes(task),
  );
  // The wire has an empty list where the engine does not know either.
  const languages = loaded.languages.length > 0 ? loaded.languages : null;
  return { ...model, languages, capabilities: { tasks, wordTimestamps, logprobs } };
}

/** The worker that works; where there is none, the one that comes or goes. */
export function mainWorker({ workers }: State): WorkerState | null {
  const order: readonly WorkerState['phase'][][] = [
    ['loading', 'loaded'],
    ['spent', 'ending'],
    ['stuck'],
    ['starting', 'ready'],
  ];
  for (const phases of order) {
    const found = workers.findLast(({ phase }) => phases.includes(phase));
    if (found !== undefined) return found;
  }
  return null;
}

export function describeWorker(state: State, now: number): Omit<WorkerHealth, 'pid' | 'memoryBytes'> {
  const { restarts, lastError } = state;
  const worker = mainWorker(state);
  // Of the worker that is shown, not of the one that is prepared beside it.
  const generation = worker?.generation ?? state.generation;
  return { state: worker === null ? pastState(state, now) : STATES[worker.phase], generation, restarts, lastError };
}

export function describeQueue({ running, line, reserved, limits }: State): QueueHealth {
  const waiting = reserved + line.filter(({ kind }) => kind === 'job').length;
  return { running: running.length, waiting, limit: limits.maxQueue };
}

/** Jobs that the loaded worker runs side by side. */
export function concurrencyOf(state: State): number {
  return loadedWorker(state)?.loaded?.concurrency ?? 1;
}

const STATES: Record<WorkerState['phase'], WorkerHealth['state']> = {
  starting: 'starting',
  ready: 'ready',
  loading: 'ready',
  loaded: 'ready',
  spent: 'stopping',
  ending: 'stopping',
  // It can do nothing, and nobody can do anything about it.
  stuck: 'failed',
};

/** No worker lives: what became of the last one. */
function pastState({ lastEnd, crashes }: State, now: number): WorkerHealth['state'] {
  if (!lastEnd?.crash) return 'stopped';
  return decideStart({ crashes: crashes.get(lastEnd.engine) ?? [] }, now, 0).start ? 'crashed' : 'failed';
}

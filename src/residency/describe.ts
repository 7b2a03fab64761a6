import type { Model } from '../models/model.ts';
import { decideStart } from '../worker/restart-policy.ts';
import { loadedWorker, preparedWorker, type State, type WorkerRecord } from './state.ts';
import type { QueueHealth, ResidentStatus, WorkerHealth } from './types.ts';

/** What is loaded, as `GET /v1/settings/model` shows it, without the memory, which is read from the process. */
export function describeModel(state: State): Omit<ResidentStatus, 'memoryBytes'> {
  const nothing = { device: null, computeType: null, loadSeconds: null };
  const { load, workers, queue } = state;
  const loaded = loadedWorker(state);
  if (loaded?.model && loaded.loaded) {
    const { device, compute_type: computeType } = loaded.loaded;
    return { model: loaded.model.id, status: 'loaded', device, computeType, loadSeconds: loaded.loadSeconds };
  }
  if (load !== null) return { model: load.model.id, status: 'loading', ...nothing };
  const leaving = workers.find(({ model }) => model !== null);
  if (leaving?.model) return { model: leaving.model.id, status: 'unloading', ...nothing };
  const [head] = queue;
  if (preparedWorker(state) && head !== undefined && head.kind !== 'unload' && head.model !== null)
    return { model: head.model.id, status: 'loading', ...nothing };
  return { model: null, status: 'none', ...nothing };
}

/**
 * The model with its capabilities and languages in force: those that the loaded worker reports, else those from its
 * files or the catalogue. Only this function decides between the two. A task that the model family was not trained for
 * stays refused: a worker cannot tell a turbo model whose configuration lacks the layer count from one that translates.
 */
export function inForce(state: State, model: Model): Model {
  const { model: loadedModel, loaded } = loadedWorker(state) ?? {};
  if (!loaded || loadedModel?.id !== model.id) return model;
  const { word_timestamps: wordTimestamps, logprobs } = loaded.capabilities;
  const tasks = loaded.capabilities.tasks.filter(
    (task) => model.family === null || model.capabilities.tasks.includes(task),
  );
  // The worker sends an empty list when the engine does not know either.
  const languages = loaded.languages.length > 0 ? loaded.languages : null;
  return { ...model, languages, capabilities: { tasks, wordTimestamps, logprobs } };
}

/** The worker that `/health` shows: the one with a model, else one that is ending, stuck or starting, in this order. */
export function mainWorker({ workers }: State): WorkerRecord | null {
  const order: readonly WorkerRecord['phase'][][] = [
    ['loading', 'loaded'],
    ['unusable', 'ending'],
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
  // Of this worker, not of one that is prepared beside it.
  const generation = worker?.generation ?? state.generation;
  return { state: worker === null ? pastState(state, now) : STATES[worker.phase], generation, restarts, lastError };
}

export function describeQueue({ running, queue, reserved, limits }: State): QueueHealth {
  const waiting = reserved + queue.filter(({ kind }) => kind === 'job').length;
  return { running: running.length, waiting, limit: limits.maxQueue };
}

const STATES: Record<WorkerRecord['phase'], WorkerHealth['state']> = {
  starting: 'starting',
  ready: 'ready',
  loading: 'ready',
  loaded: 'ready',
  unusable: 'stopping',
  ending: 'stopping',
  // It cannot work, and asrpro cannot end it.
  stuck: 'failed',
};

/** The state to show when no worker exists: how the last one ended. */
function pastState({ lastExit, crashes }: State, now: number): WorkerHealth['state'] {
  if (!lastExit?.crash) return 'stopped';
  return decideStart(crashes.get(lastExit.engine) ?? [], now, 0).start ? 'crashed' : 'failed';
}

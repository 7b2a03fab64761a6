import { loadFailed } from './load-outcome.ts';
import {
  type Effect,
  findEntry,
  findRunningJob,
  findWorker,
  forgetSelection,
  type JobEntry,
  removeEntry,
  type State,
} from './state.ts';

/** Records an effect in the state before it is performed, so that the next decision already takes it into account. */
export function recordEffect(state: State, effect: Effect): void {
  const entry = 'id' in effect ? findEntry(state, effect.id) : undefined;
  const worker = 'generation' in effect ? findWorker(state, effect.generation) : undefined;
  switch (effect.type) {
    case 'StartWorker': {
      const { generation, engine } = effect;
      state.generation = generation;
      if (state.lastExit?.crash) state.restarts += 1;
      state.lastExit = null;
      const unset = { model: null, loaded: null, loadSeconds: null, fault: null, hungSince: null };
      state.workers.push({ generation, engine, phase: 'starting', ...unset, unreachableSince: null, killed: false });
      break;
    }
    case 'StopWorker':
      worker!.phase = 'ending';
      worker!.killed = effect.how === 'kill';
      break;
    case 'ChooseSettings':
      state.nextSettings = { model: effect.model, settings: null };
      break;
    case 'BeginLoad': {
      const { model, settings, previous, now } = effect;
      state.load = { model, settings, previous, attempt: 1, since: now, failure: null };
      state.failedPreparation = null;
      const [head] = state.queue;
      if (head?.kind === 'load') head.previous = previous?.id ?? null;
      break;
    }
    case 'LoadModel':
      worker!.phase = 'loading';
      worker!.model = effect.model;
      break;
    case 'AbandonLoad':
      loadFailed(state, effect.error, false, state.load!.since);
      break;
    case 'BindJob':
      entry!.check = 'running';
      if (entry!.kind === 'job') entry!.boundFor = effect.selected;
      break;
    case 'CheckLoad':
      entry!.check = 'running';
      break;
    case 'StartJob': {
      const job = entry as JobEntry;
      job.startedBefore = true;
      removeEntry(state, effect.id);
      const { generation, now: startedAt } = effect;
      state.running.push({ entry: job, generation, startedAt, settled: false, ignoredCancelSince: null });
      break;
    }
    case 'FailJob': {
      const job = findRunningJob(state, effect.id);
      if (job) job.settled = true;
      else removeEntry(state, effect.id);
      break;
    }
    case 'AnswerLoad':
    case 'FailCommand':
      removeEntry(state, effect.id);
      break;
    case 'BeginDrain':
      if (entry?.kind === 'unload') entry.drainDeadline = effect.deadline;
      break;
    case 'FinishUnload':
      if (entry?.kind !== 'unload') break;
      removeEntry(state, effect.id);
      state.activeUnload = entry;
      if (entry.modelId === null) forgetSelection(state);
      break;
    case 'SelectModel':
      state.selected = effect.model;
      break;
    case 'SetTimer':
      state.timer = effect.at;
      break;
    case 'FinishClose':
      state.closing!.done = true;
      break;
    case 'ReportBrokenModel':
    case 'ReportCrash':
      break;
  }
}

import { loadFailed } from './load-outcome.ts';
import {
  type Effect,
  entryOf,
  forgetSelection,
  type JobEntry,
  jobOn,
  removeEntry,
  type State,
  workerOf,
} from './state.ts';

/** Writes down that an effect is under way, or, where nobody has to do anything for it, done. */
export function begun(state: State, effect: Effect): void {
  const entry = 'id' in effect ? entryOf(state, effect.id) : undefined;
  const worker = 'generation' in effect ? workerOf(state, effect.generation) : undefined;
  switch (effect.type) {
    case 'StartWorker': {
      const { generation, engine } = effect;
      state.generation = generation;
      if (state.lastEnd?.crash) state.restarts += 1;
      state.lastEnd = null;
      const nothing = { model: null, loaded: null, loadSeconds: null, fault: null, hungSince: null, cutOffSince: null };
      state.workers.push({ generation, engine, phase: 'starting', killed: false, ...nothing });
      break;
    }
    case 'StopWorker':
      worker!.phase = 'ending';
      worker!.killed = effect.how === 'kill';
      break;
    case 'ChooseSettings':
      state.choice = { model: effect.model, settings: null };
      break;
    case 'BeginLoad': {
      const { model, settings, previous, now } = effect;
      state.load = { model, settings, previous, attempt: 1, since: now, failure: null };
      state.spoiled = null;
      const [head] = state.line;
      if (head?.kind === 'load') head.previous = previous?.id ?? null;
      break;
    }
    case 'LoadModel':
      worker!.phase = 'loading';
      worker!.model = effect.model;
      break;
    case 'GiveUpLoad':
      loadFailed(state, effect.error, false, state.load!.since);
      break;
    case 'BindJob':
      entry!.check = 'asked';
      if (entry!.kind === 'job') entry!.boundFor = effect.selected;
      break;
    case 'CheckLoad':
      entry!.check = 'asked';
      break;
    case 'StartJob': {
      const job = entry as JobEntry;
      job.fixed = true;
      removeEntry(state, effect.id);
      const { generation, now: startedAt } = effect;
      state.running.push({ entry: job, generation, startedAt, over: false, deafSince: null });
      break;
    }
    case 'FailJob': {
      const job = jobOn(state, effect.id);
      if (job) job.over = true;
      else removeEntry(state, effect.id);
      break;
    }
    case 'AnswerLoad':
    case 'FailCommand':
      removeEntry(state, effect.id);
      break;
    case 'Drain':
      if (entry?.kind === 'unload') entry.drainUntil = effect.until;
      break;
    case 'CarryOutUnload':
      if (entry?.kind !== 'unload') break;
      removeEntry(state, effect.id);
      state.acting = entry;
      if (entry.subject === null) forgetSelection(state);
      break;
    case 'Select':
      state.selected = effect.model;
      break;
    case 'SetTimer':
      state.timer = effect.at;
      break;
    case 'Closed':
      state.closing!.done = true;
      break;
    case 'TellBroken':
    case 'TellCrash':
      break;
  }
}

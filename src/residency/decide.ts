/** What the scheduler sees. */
export interface Situation {
  resident: { status: 'none' | 'loading' | 'loaded' | 'unloading'; model: string | null };
  /** Jobs that the loaded worker runs side by side. */
  concurrency: number;
  running: number;
  /** A job that runs alone because it was in hand when a worker died. */
  runningAlone: boolean;
  /** First in line: commands come before jobs, both in their order of arrival. */
  head: Head | null;
}

export type Head =
  | { kind: 'job'; model: string; alone: boolean }
  | { kind: 'load'; model: string }
  /** Needs the model unloaded; null: any model. */
  | { kind: 'unload'; model: string | null };

export type Decision =
  | { act: 'wait' }
  | { act: 'start job' }
  | { act: 'finish command' }
  /** Start the next worker and let it import while the running jobs end. */
  | { act: 'prepare'; model: string }
  | { act: 'load'; model: string }
  /** Give running jobs their last seconds, then end them. */
  | { act: 'drain' }
  | { act: 'unload' };

/**
 * The whole scheduling of the resident model, as a decision that is taken again after every event:
 *
 * 1. A load or an unload under way is never interrupted.
 * 2. Nothing in line: nothing to do; no timer unloads a model.
 * 3. A job for the loaded model starts as soon as there is room; one that is suspected of killing its worker runs alone.
 * 4. A job or load for another model waits until the running jobs have ended, with the next worker prepared meanwhile.
 * 5. An unload gives the running jobs a limited time. One that names a model which is not loaded is done at once.
 */
export function decide({ resident, concurrency, running, runningAlone, head }: Situation): Decision {
  if (resident.status === 'loading' || resident.status === 'unloading') return { act: 'wait' }; // 1
  if (head === null) return { act: 'wait' }; // 2
  const isLoaded = resident.status === 'loaded';
  if (head.kind === 'unload') {
    if (!isLoaded || (head.model !== null && head.model !== resident.model)) return { act: 'finish command' }; // 5
    return running > 0 ? { act: 'drain' } : { act: 'unload' };
  }
  if (!isLoaded || head.model !== resident.model) {
    return running > 0 ? { act: 'prepare', model: head.model } : { act: 'load', model: head.model }; // 4
  }
  if (head.kind === 'load') return { act: 'finish command' };
  const room = head.alone ? running === 0 : running < concurrency && !runningAlone; // 3
  return room ? { act: 'start job' } : { act: 'wait' };
}

import type { Log } from '../log.ts';

/** Durations of the stages of one request. */
export interface RequestTimings {
  /** Ends a stage; the next stage begins here. */
  end(stage: string): void;
  /** Logs one line at level trace: milliseconds by stage, and the worker's own stages from its seconds. */
  write(worker: Record<string, number>): void;
}

const disabled: RequestTimings = { end: () => undefined, write: () => undefined };

/** Costs nothing unless `log.level` is trace. */
export function startTimings(log: Log, request: string): RequestTimings {
  if (!log.isLevelEnabled('trace')) return disabled;
  const begin = performance.now();
  const stages: Record<string, number> = {};
  let last = begin;
  return {
    end(stage) {
      const now = performance.now();
      stages[stage] = rounded(now - last);
      last = now;
    },
    write(worker) {
      const inWorker = Object.fromEntries(Object.entries(worker).map(([stage, s]) => [stage, rounded(s * 1000)]));
      const total = rounded(last - begin);
      log.trace({ request, stages, worker: inWorker, total }, 'stages of a request, in milliseconds');
    },
  };
}

function rounded(milliseconds: number): number {
  return Math.round(milliseconds * 100) / 100;
}

import type { Log } from '../log.ts';

/** The way of one request, stage by stage. */
export interface Stages {
  /** The stage that began with the end of the one before is over. */
  end(stage: string): void;
  /** Writes one line, at level trace: milliseconds by stage, with those of the worker beside them. */
  write(worker: Record<string, number>): void;
}

const unmeasured: Stages = { end: () => undefined, write: () => undefined };

/** Costs nothing unless `log.level` is trace. */
export function timeStages(log: Log, request: string): Stages {
  if (!log.isLevelEnabled('trace')) return unmeasured;
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

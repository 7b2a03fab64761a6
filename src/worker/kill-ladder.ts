import type { ExitReport } from './exit.ts';

export type Rung = 'message' | 'SIGTERM' | 'SIGKILL';

/** How a worker is ended: each rung and how long it is given, in seconds, before the next. */
export interface Ladder {
  readonly rungs: readonly { readonly rung: Rung; readonly seconds: number }[];
}

/** For a worker that is not worth asking. @param killSeconds how long a killed process may take to be gone. */
export function shortLadder(killSeconds: number): Ladder {
  return { rungs: [{ rung: 'SIGKILL', seconds: killSeconds }] };
}

/**
 * Ask, tell, end. SIGTERM keeps its default action in the worker (a Python handler would wait for the GIL), so it ends
 * every process that has not blocked it; SIGKILL to the group ends the rest, grandchildren too.
 */
export function politeLadder(graceSeconds: number, killSeconds: number): Ladder {
  return {
    rungs: [
      { rung: 'message', seconds: graceSeconds },
      { rung: 'SIGTERM', seconds: Math.min(graceSeconds, 2) },
      ...shortLadder(killSeconds).rungs,
    ],
  };
}

export interface Climber {
  readonly exited: Promise<ExitReport>;
  ask(): Promise<void>;
  signal(signal: 'SIGTERM' | 'SIGKILL'): void;
}

/** Climbs until the process has exited. Resolves with its exit and the rung that did it; `exit` is null when none did. */
export async function climb(ladder: Ladder, worker: Climber): Promise<{ exit: ExitReport | null; rung: Rung }> {
  let last: Rung = 'message';
  for (const { rung, seconds } of ladder.rungs) {
    last = rung;
    if (rung === 'message') await worker.ask().catch(() => undefined);
    else worker.signal(rung);
    const exit = await within(worker.exited, seconds);
    if (exit !== null) return { exit, rung };
  }
  return { exit: null, rung: last };
}

/** The promise's value, or null when it takes longer than `seconds`. */
export async function within<T>(promise: Promise<T>, seconds: number): Promise<T | null> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<null>((resolve) => {
    timer = setTimeout(() => resolve(null), seconds * 1000);
  });
  return Promise.race([promise, late]).finally(() => clearTimeout(timer));
}

import type { Log } from './log.ts';
import { within } from './worker/within.ts';

/** A room that is told to close, and how long its end is waited for, in seconds. */
export interface ClosingRoom {
  name: string;
  closed: Promise<unknown>;
  seconds: number;
}

/** Waits for all rooms. Resolves with whether each of them ended in time, well or not. */
export async function allClosed(rooms: readonly ClosingRoom[], log: Log): Promise<boolean> {
  const ends = rooms.map(async ({ name, closed, seconds }) => {
    const ended = closed.then(
      () => true,
      (error: unknown) => log.warn({ err: error }, `${name} did not close well`) ?? true,
    );
    const inTime = (await within(ended, seconds)) !== null;
    if (!inTime) log.warn(`${name} did not close within ${seconds} s and is left to itself`);
    return inTime;
  });
  return !(await Promise.all(ends)).includes(false);
}

/**
 * Ends this process if something still keeps it in a while. Not by `process.exit`: that waits for every thread, for ever
 * for one that a disk which does not answer holds.
 */
export function endProcessLater(seconds: number): void {
  setTimeout(() => process.kill(process.pid, 'SIGKILL'), seconds * 1000).unref();
}

import type { Log } from './log.ts';
import { within } from './worker/within.ts';

/** A part of the program that is closing, and how many seconds to wait for its end. */
export interface ClosingRoom {
  name: string;
  closed: Promise<unknown>;
  seconds: number;
}

/** Waits for all rooms. Resolves with whether all of them ended in time, with or without an error. */
export async function allClosed(rooms: readonly ClosingRoom[], log: Log): Promise<boolean> {
  const ends = rooms.map(async ({ name, closed, seconds }) => {
    const ended = closed.then(
      () => true,
      (error: unknown) => log.warn({ err: error }, `${name} failed while closing`) ?? true,
    );
    const inTime = (await within(ended, seconds)) !== null;
    if (!inTime) log.warn(`${name} did not close within ${seconds} s; asrpro no longer waits for it`);
    return inTime;
  });
  return !(await Promise.all(ends)).includes(false);
}

/**
 * Kills this process after a time limit if something still keeps it alive. `process.exit` is not enough: it waits for all
 * threads, and a thread that is blocked by an unresponsive disk never ends.
 */
export function endProcessLater(seconds: number): void {
  setTimeout(() => process.kill(process.pid, 'SIGKILL'), seconds * 1000).unref();
}

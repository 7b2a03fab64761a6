import { writeSync } from 'node:fs';
import pino from 'pino';
import type { Config } from './config/schema.ts';

export type Log = pino.Logger;

/** How much of the log waits in memory while the reader of a pipe is slow, in characters. Further lines are dropped. */
const MAX_BACKLOG = 1024 * 1024;
/** Pauses between writes to a full pipe, in milliseconds; they double while no program reads it. */
const RETRY_MS = { first: 5, longest: 500 };
/** At its end the process waits for a reader as long as it reads, in steps of this many milliseconds. */
const EXIT_STEP_MS = 5;
const EXIT_STEPS_WITHOUT_PROGRESS = 20;

/**
 * The program's log on stderr, because stdout is for results. Lines are written synchronously, so that the last ones before
 * a crash are not lost.
 */
export function createLog(settings: Config['log']): Log {
  const text = settings.format === 'text' || (settings.format === 'auto' && process.stderr.isTTY);
  const destination = linesTo(2);
  return pino(
    { level: settings.level, base: null, timestamp: pino.stdTimeFunctions.isoTime },
    text ? textLines(destination) : destination,
  );
}

/**
 * Writes lines and never blocks or fails: a pipe that no program reads used to block the gateway when it was full, and a
 * full disk behind `2>file` ended it. Node makes a pipe non-blocking when `process.stderr` is first used.
 */
function linesTo(descriptor: number): pino.DestinationStream {
  let lines: string[] = [];
  let size = 0;
  let rest = Buffer.alloc(0);
  let pause = RETRY_MS.first;
  let timer: NodeJS.Timeout | null = null;
  let flushesAtExit = false;
  const flush = (): void => {
    timer = null;
    while (rest.length > 0 || lines.length > 0) {
      if (rest.length === 0) {
        rest = Buffer.from(lines.join(''));
        lines = [];
        size = 0;
      }
      try {
        rest = rest.subarray(writeSync(descriptor, rest));
        pause = RETRY_MS.first;
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code === 'EAGAIN') return retryLater();
        // The log cannot be written (full disk, closed pipe or terminal), and there is no other place to report that.
        rest = Buffer.alloc(0);
      }
    }
  };
  const retryLater = (): void => {
    if (!flushesAtExit) process.once('exit', flushAtExit);
    flushesAtExit = true;
    timer = setTimeout(flush, pause).unref();
    pause = Math.min(2 * pause, RETRY_MS.longest);
  };
  const flushAtExit = (): void => {
    const sleeper = new Int32Array(new SharedArrayBuffer(4));
    for (let idle = 0; idle < EXIT_STEPS_WITHOUT_PROGRESS && rest.length + size > 0; ) {
      const before = rest.length + size;
      flush();
      idle = rest.length + size < before ? 0 : idle + 1;
      Atomics.wait(sleeper, 0, 0, EXIT_STEP_MS);
    }
  };
  return {
    write(line) {
      if (size > MAX_BACKLOG) return;
      lines.push(line);
      size += line.length;
      if (timer === null) flush();
    },
  };
}

/** One readable line for each record, for a terminal. */
function textLines(destination: pino.DestinationStream): pino.DestinationStream {
  return {
    write(line) {
      const { level, time, msg, ...rest } = JSON.parse(line) as Record<string, unknown>;
      const name = (pino.levels.labels[Number(level)] ?? '').padEnd(5);
      const { err, ...fields } = rest as { err?: { stack?: string } };
      const tail = Object.entries(fields).map(
        ([key, value]) => ` ${key}=${typeof value === 'string' ? value : JSON.stringify(value)}`,
      );
      destination.write(
        `${String(time).slice(11, 23)} ${name} ${msg ?? ''}${tail.join('')}\n${err?.stack ? `${err.stack}\n` : ''}`,
      );
    },
  };
}

import { writeSync } from 'node:fs';
import pino from 'pino';
import type { Config } from './config/schema.ts';

export type Log = pino.Logger;

/** How much of the log waits in memory while the reader of a pipe is slow, in bytes. Further lines are dropped. */
const MAX_BACKLOG = 1024 * 1024;
/** After this time, in milliseconds, a write to a full pipe is tried again. */
const RETRY_MS = 50;

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
  let backlog = Buffer.alloc(0);
  let timer: NodeJS.Timeout | undefined;
  const flush = (): void => {
    while (backlog.length > 0) {
      try {
        backlog = backlog.subarray(writeSync(descriptor, backlog));
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code === 'EAGAIN') return retryLater();
        // The log cannot be written (full disk, closed pipe or terminal), and there is no other place to report that.
        backlog = Buffer.alloc(0);
      }
    }
  };
  const retryLater = (): void => {
    if (timer === undefined) process.once('exit', flush);
    clearTimeout(timer);
    timer = setTimeout(flush, RETRY_MS).unref();
  };
  return {
    write(line) {
      if (backlog.length > MAX_BACKLOG) return;
      backlog = backlog.length === 0 ? Buffer.from(line) : Buffer.concat([backlog, Buffer.from(line)]);
      flush();
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

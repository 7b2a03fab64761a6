import pino from 'pino';
import type { Config } from './config/schema.ts';

export type Log = pino.Logger;

/**
 * The program's log on stderr, because stdout is for results. Lines are written synchronously, so that the last ones before
 * a crash are not lost.
 */
export function createLog(settings: Config['log']): Log {
  const text = settings.format === 'text' || (settings.format === 'auto' && process.stderr.isTTY);
  const destination = pino.destination({ fd: 2, sync: true });
  return pino(
    { level: settings.level, base: null, timestamp: pino.stdTimeFunctions.isoTime },
    text ? textLines(destination) : destination,
  );
}

/** One readable line for each record, for a terminal. */
function textLines(destination: { write(line: string): void }): pino.DestinationStream {
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

import { createInterface } from 'node:readline';
import type { Readable } from 'node:stream';
import type { Log } from '../log.ts';

/** As much of the output as an error message can use. */
const KEPT_BYTES = 8 * 1024;

/** What a child writes, drained from the start so that it never blocks, with the end kept. */
export interface Output {
  /** The last 8 KiB, plain text. */
  lastWords(): string;
}

/**
 * Reads a worker's stdout and stderr. Lines of JSON with a `level` are its own log and go to ours at that level; all
 * other lines are noise of the engine and go to `debug`.
 */
export function drainOutput(streams: readonly Readable[], log: Log): Output {
  let kept = '';
  for (const stream of streams) {
    // A broken pipe belongs to the exit, which is reported on its own.
    stream.on('error', () => undefined);
    createInterface({ input: stream, crlfDelay: Number.POSITIVE_INFINITY }).on('line', (line) => {
      const record = parseRecord(line);
      const text = record?.message ?? line;
      kept = `${kept}${text}\n`.slice(-KEPT_BYTES);
      if (record) log[record.level]({ ...record.fields }, record.message);
      else log.debug({ output: line.slice(0, 2000) }, 'worker output');
    });
  }
  return { lastWords: () => kept.trim() };
}

const LEVELS = ['trace', 'debug', 'info', 'warn', 'error'] as const;
type Level = (typeof LEVELS)[number];

function parseRecord(line: string): { level: Level; message: string; fields: object } | null {
  if (!line.startsWith('{')) return null;
  try {
    const { level, msg: message, time: _, ...fields } = JSON.parse(line) as Record<string, unknown>;
    if (typeof message !== 'string' || !LEVELS.includes(level as Level)) return null;
    return { level: level as Level, message, fields };
  } catch {
    return null;
  }
}

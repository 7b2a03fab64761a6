import type { Readable } from 'node:stream';
import type { Log } from '../log.ts';

/** In characters. A longer line is passed on in parts, because a worker that never ends its line would fill the memory. */
const LONGEST_LINE = 64 * 1024;

/** Enough for an error message. */
const KEPT_BYTES = 8 * 1024;

export interface Output {
  /** The last 8 KiB as plain text. */
  lastWords(): string;
}

/**
 * Reads a worker's stdout and stderr from the start, so that a full pipe never blocks it. JSON lines with a `level` are
 * the worker's log and are logged at that level; all other lines come from the engine and are logged at `debug`.
 */
export function drainOutput(streams: readonly Readable[], log: Log): Output {
  let kept = '';
  for (const stream of streams) {
    // A broken pipe means that the worker exited, which is reported separately.
    stream.on('error', () => undefined);
    eachLine(stream, (line) => {
      const record = parseRecord(line);
      const text = record?.message ?? line;
      kept = `${kept}${text}\n`.slice(-KEPT_BYTES);
      if (record) log[record.level]({ ...record.fields }, record.message);
      else log.debug({ output: line.slice(0, 2000) }, 'worker output');
    });
  }
  return { lastWords: () => kept.trim() };
}

/** Calls back with each line that is not empty. A progress bar ends its lines with a carriage return. */
function eachLine(stream: Readable, onLine: (line: string) => void): void {
  let rest = '';
  const pass = (lines: readonly string[]): void => {
    for (const line of lines) if (line !== '') onLine(line);
  };
  stream.setEncoding('utf8');
  stream.on('data', (text: string) => {
    const lines = `${rest}${text}`.split(/[\r\n]/);
    rest = lines.pop()!;
    pass(lines);
    if (rest.length < LONGEST_LINE) return;
    pass([rest]);
    rest = '';
  });
  stream.once('end', () => pass([rest]));
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

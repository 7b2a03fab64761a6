import { randomUUID } from 'node:crypto';
import fs, { createWriteStream } from 'node:fs';
import { rm, stat } from 'node:fs/promises';
import path from 'node:path';
import { finished } from 'node:stream/promises';
import { AsrproError } from '../errors.ts';

/** An upload on its way to a private file with a name of our own; what the client calls it is never used. */
export interface SpooledFile {
  readonly path: string;
  write(chunk: Buffer): void;
  /** Resolves when more can be written, or never will be; undefined: at once. */
  drained(): Promise<void> | undefined;
  /** Bytes, once all are on disk. Throws `disk_full`, `spool_failed`. */
  close(): Promise<number>;
  /** Stops writing and removes the file; may be called at any time and again. */
  discard(): Promise<void>;
}

/**
 * @param directory made again when it is gone.
 * @param onFailure hears at once of a disk that does not take the file. Nobody listened once, and a full disk was a minute
 *   of silence.
 */
export function spool(directory: string, onFailure: (error: AsrproError) => void): SpooledFile {
  const file = path.join(directory, randomUUID());
  const writer = createWriteStream(file, { flags: 'wx', mode: 0o600, fs: { ...fs, open: openInFolder } });
  let wake = (): void => undefined;
  const closed = new Promise<void>((resolve) => void writer.once('close', resolve));
  writer.on('drain', () => wake()).on('close', () => wake());
  // Writes that `discard` cut short fail as well, and nobody minds.
  writer.on('error', (error) => onFailure(spoolError(error)));
  return {
    path: file,
    write: (chunk) => void writer.write(chunk),
    drained() {
      if (!writer.writableNeedDrain) return undefined;
      return new Promise((resolve) => {
        wake = resolve;
      });
    },
    async close() {
      writer.end();
      try {
        await finished(writer);
        // Asked of the disk: a file that was taken away while it was written is no fault of the audio.
        return (await stat(file)).size;
      } catch (error) {
        throw spoolError(error);
      }
    },
    async discard() {
      writer.destroy();
      await closed;
      // What cannot be removed now goes with the run directory; it must not turn an answer into an error.
      await rm(file, { force: true }).catch(() => undefined);
    },
  };
}

/** Makes the folder first: something that cleans up may have taken it away. */
function openInFolder(
  file: string,
  flags: string,
  mode: number,
  done: (error: NodeJS.ErrnoException | null, descriptor: number) => void,
): void {
  fs.mkdir(path.dirname(file), { recursive: true, mode: 0o700 }, (error) => {
    if (error === null) fs.open(file, flags, mode, done);
    else done(error, -1);
  });
}

function spoolError(cause: unknown): AsrproError {
  const code = String((cause as NodeJS.ErrnoException).code ?? 'unknown reason');
  if (code === 'ENOSPC' || code === 'EDQUOT') {
    return new AsrproError('disk_full', 'There is no disk space left for the upload.', {
      hint: "Free some space on the disk of asrpro's run directory, then send it again.",
      cause,
    });
  }
  return new AsrproError('spool_failed', `The upload cannot be written to disk (${code}).`, {
    hint: 'The log of the server names the file.',
    cause,
  });
}

import { randomUUID } from 'node:crypto';
import fs, { createWriteStream } from 'node:fs';
import { rm, stat } from 'node:fs/promises';
import path from 'node:path';
import { finished } from 'node:stream/promises';
import { AsrproError } from '../errors.ts';
import { freeMemory } from '../network/free-memory.ts';

/**
 * So many bytes may wait for the disk before the socket is paused. With Node's default of 16 kB it was paused after each chunk,
 * and an upload of 143 MB took 330 ms instead of 230 ms (loopback, two interleaved pairs of five).
 */
const MAX_UNWRITTEN = 512 * 1024;

/** An upload that is written to a private file. The file has a random name; the client's file name is never used. */
export interface SpooledFile {
  readonly path: string;
  /** Takes over the chunk: its memory is freed once it is written. */
  write(chunk: Buffer): void;
  /** Resolves when the buffer has room again or the file is closed; undefined when it has room now. */
  drained(): Promise<void> | undefined;
  /** Resolves with the size of the file when it is complete on disk. Throws `disk_full`, `spool_failed`. */
  close(): Promise<number>;
  /** Stops writing and removes the file. May be called at any time and more than once. */
  discard(): Promise<void>;
}

/**
 * @param directory created again if it was removed.
 * @param onFailure is called as soon as a write fails. Without it a full disk was only noticed after a minute, as a stalled
 *   upload.
 */
export function spool(directory: string, onFailure: (error: AsrproError) => void): SpooledFile {
  const file = path.join(directory, randomUUID());
  const writer = createWriteStream(file, {
    flags: 'wx',
    mode: 0o600,
    highWaterMark: MAX_UNWRITTEN,
    fs: { ...fs, open: openInFolder },
  });
  let wake = (): void => undefined;
  const closed = new Promise<void>((resolve) => void writer.once('close', resolve));
  writer.on('drain', () => wake()).on('close', () => wake());
  // `discard` also causes this error; the upload has ended by then and ignores it.
  writer.on('error', (error) => onFailure(spoolError(error)));
  return {
    path: file,
    write(chunk) {
      writer.write(chunk, (error) => {
        if (!error) freeMemory(chunk);
      });
    },
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
        // If the file was removed during the upload, this fails as `spool_failed` instead of blaming the audio later.
        return (await stat(file)).size;
      } catch (error) {
        throw spoolError(error);
      }
    },
    async discard() {
      writer.destroy();
      await closed;
      // A failed removal must not turn an answer into an error; the run directory is removed later.
      await rm(file, { force: true }).catch(() => undefined);
    },
  };
}

/** Creates the folder first, because a cleanup tool may have removed it. */
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
      hint: "Free some space on the disk of asrpro's run directory, then retry.",
      cause,
    });
  }
  return new AsrproError('spool_failed', `The upload cannot be written to disk (${code}).`, {
    hint: "The server's log names the file.",
    cause,
  });
}

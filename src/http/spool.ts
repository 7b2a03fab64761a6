import { randomUUID } from 'node:crypto';
import { createWriteStream } from 'node:fs';
import { rm } from 'node:fs/promises';
import path from 'node:path';
import type { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';

/** An upload on its way to a private file with a name of our own; what the client calls it is never used. */
export interface SpooledFile {
  readonly path: string;
  /** Bytes, once all are on disk. Rejects when the stream or the disk fails. */
  readonly written: Promise<number>;
  /** Stops writing and removes the file; may be called at any time and again. */
  discard(): Promise<void>;
}

export function spool(source: Readable, directory: string): SpooledFile {
  const file = path.join(directory, randomUUID());
  const writer = createWriteStream(file, { flags: 'wx', mode: 0o600 });
  const written = pipeline(source, writer).then(() => writer.bytesWritten);
  written.catch(() => undefined);
  return {
    path: file,
    written,
    async discard() {
      source.destroy();
      await written.catch(() => undefined);
      await rm(file, { force: true });
    },
  };
}

import { stat } from 'node:fs/promises';
import path from 'node:path';
import { freeBytes, megabytes, type Place } from '../disk-error.ts';
import { AsrproError } from '../errors.ts';
import { partialPath } from './fetch-file.ts';
import type { Expected } from './listing.ts';

/** Left free besides the model, in bytes: a disk that is full to the last block hurts other programs. */
const MARGIN = 64 * 1024 * 1024;

/** Throws `disk_full` before the first byte when what is missing of the files does not fit. */
export async function requireSpace(place: Place, folder: string, files: readonly Expected[]): Promise<void> {
  let needed = MARGIN;
  for (const file of files) needed += file.size - (await sizeOf(partialPath(path.join(folder, file.path), file)));
  const free = freeBytes(folder);
  if (free === null || needed <= free) return;
  const message = `The download needs ${megabytes(needed)} of disk space, and ${megabytes(free)} are free.`;
  throw new AsrproError('disk_full', message, { hint: `Free some space, or ${place.remedy}.` });
}

/** 0 for a file that is not there. */
export async function sizeOf(file: string): Promise<number> {
  return await stat(file).then(
    ({ size }) => size,
    () => 0,
  );
}

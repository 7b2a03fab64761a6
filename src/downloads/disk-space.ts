import { stat } from 'node:fs/promises';
import path from 'node:path';
import { type Place, requireSpace } from '../disk-error.ts';
import { partialPath } from './fetch-file.ts';
import type { Expected } from './listing.ts';

/** Bytes to leave free besides the model: a disk that is full to the last block breaks other programs. */
const MARGIN = 64 * 1024 * 1024;

/** Throws `disk_full` before the first byte if the missing part of the files does not fit on the disk. */
export async function requireSpaceFor(place: Place, folder: string, files: readonly Expected[]): Promise<void> {
  let needed = MARGIN;
  for (const file of files) needed += file.size - (await sizeOf(partialPath(path.join(folder, file.path), file)));
  requireSpace({ ...place, folder }, needed, 'the download');
}

/** 0 for a file that does not exist. */
export async function sizeOf(file: string): Promise<number> {
  return await stat(file).then(
    ({ size }) => size,
    () => 0,
  );
}

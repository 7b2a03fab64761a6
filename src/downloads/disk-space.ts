import { mkdirSync } from 'node:fs';
import { stat, statfs } from 'node:fs/promises';
import path from 'node:path';
import { AsrproError } from '../errors.ts';
import { partialPath } from './fetch-file.ts';
import type { Expected } from './listing.ts';

/** Left free besides the model, in bytes: a disk that is full to the last block hurts other programs. */
const MARGIN = 64 * 1024 * 1024;

/** Throws `disk_full` before the first byte when what is missing of the files does not fit. */
export async function requireSpace(folder: string, files: readonly Expected[]): Promise<void> {
  let missing = 0;
  for (const file of files) missing += file.size - (await sizeOf(partialPath(path.join(folder, file.path), file)));
  mkdirSync(folder, { recursive: true });
  const { bavail, bsize } = await statfs(folder);
  const free = bavail * bsize;
  if (missing + MARGIN <= free) return;
  const [needed, there] = [missing + MARGIN, free].map((bytes) => `${Math.ceil(bytes / 1e6)} MB`);
  throw new AsrproError('disk_full', `The download needs ${needed} of disk space, and ${there} are free.`, {
    hint: 'Free some space, or set `models.directory` to another disk.',
  });
}

/** 0 for a file that is not there. */
export async function sizeOf(file: string): Promise<number> {
  return await stat(file).then(
    ({ size }) => size,
    () => 0,
  );
}

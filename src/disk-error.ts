import { existsSync, mkdirSync, statfsSync } from 'node:fs';
import path from 'node:path';
import { AsrproError } from './errors.ts';

/** Something of ours on the local disk, in words: messages hold no paths. */
export interface Place {
  /** "the models folder". */
  name: string;
  /** Where it is, to see how much room is left. */
  folder: string;
  /** How to have it elsewhere: "set `models.directory` to another folder". */
  remedy: string;
  /** How many bytes were wanted, where that is known. */
  neededBytes?: number;
}

const FULL = ['ENOSPC', 'EDQUOT', 'EFBIG'];

/** What an errno says, as the end of a sentence. */
const CAUSES: Record<string, string> = {
  EACCES: 'this user has no right to it',
  EPERM: 'this user has no right to it',
  EROFS: 'the file system is read-only',
  EIO: 'the disk reports an error',
  EMFILE: 'too many files are open',
  ENFILE: 'too many files are open',
  ENOENT: 'a file or folder in it is gone',
  ENOTDIR: 'a file is where a folder should be',
  EISDIR: 'a folder is where a file should be',
  ELOOP: 'its links lead in a circle',
  ENAMETOOLONG: 'its path is too long',
  EBUSY: 'another program uses it',
  ETXTBSY: 'another program uses it',
  EEXIST: 'something else has its name',
  ENOTEMPTY: 'something else is in it',
  ESTALE: 'the disk is gone',
  ENODEV: 'the disk is gone',
  ENXIO: 'the disk is gone',
};

/** A failure of the local disk: `disk_full` or `folder_unusable`, and never a failure of the network. */
export function diskError(thrown: unknown, { name, folder, remedy, neededBytes }: Place): AsrproError {
  if (thrown instanceof AsrproError) return thrown;
  const code = (thrown as NodeJS.ErrnoException).code ?? 'unknown';
  if (!FULL.includes(code)) {
    const cause = CAUSES[code] ?? 'the system refuses it';
    const tooMany = code === 'EMFILE' || code === 'ENFILE';
    return new AsrproError('folder_unusable', `${upperFirst(name)} cannot be used: ${cause} (${code}).`, {
      hint: tooMany ? 'Raise the limit of open files (`ulimit -n`).' : `Mend that, or ${remedy}.`,
      cause: thrown,
    });
  }
  const needed = neededBytes === undefined ? '' : `${megabytes(neededBytes)} are needed, and `;
  const free = freeBytes(folder);
  const quota = code === 'EDQUOT' ? ' of the quota' : '';
  const numbers = free === null ? '.' : `: ${needed}${megabytes(free)} are free.`;
  return new AsrproError('disk_full', `There is no space left${quota} for ${name}${numbers}`, {
    hint: `Free some space, or ${remedy}.`,
    cause: thrown,
  });
}

/** Runs what touches the local disk alone. Throws `disk_full` and `folder_unusable` for what the system says. */
export async function onDisk<T>(place: Place, work: () => T | Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (thrown) {
    const { code, syscall } = thrown as NodeJS.ErrnoException;
    // Without a system call it is a defect of ours.
    throw typeof code === 'string' && syscall !== undefined ? diskError(thrown, place) : thrown;
  }
}

/** Makes a folder and those above it, or does nothing where it is there. Throws as `onDisk` does. */
export async function makeFolder(folder: string, place: Place): Promise<void> {
  await onDisk(place, () => makeFolders(folder));
}

/** `mkdir -p` whose error says why: Node says ENOENT for whatever stops it on the way, for example a read-only disk. */
export function makeFolders(folder: string): void {
  try {
    mkdirSync(folder, { recursive: true });
  } catch (error) {
    // The first folder that is missing gives the reason.
    let first = path.resolve(folder);
    while (!existsSync(path.dirname(first))) first = path.dirname(first);
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') mkdirSync(first);
    throw error;
  }
}

export function megabytes(bytes: number): string {
  return `${Math.ceil(bytes / 1e6)} MB`;
}

/** Of the disk that holds the folder, for this user; null where the system does not tell. */
export function freeBytes(folder: string): number | null {
  try {
    const { bavail, bsize } = statfsSync(folder);
    return bavail * bsize;
  } catch {
    return null;
  }
}

function upperFirst(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1);
}

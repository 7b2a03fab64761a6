import { accessSync, constants, existsSync, mkdirSync, statfsSync } from 'node:fs';
import path from 'node:path';
import { AsrproError } from './errors.ts';

/** One of asrpro's own folders, as error messages describe it. */
export interface Place {
  /** "the models folder". Holds a path only where no HTTP client can read the message. */
  name: string;
  /** Its path, to measure the free space. */
  folder: string;
  /** How to move it: "set `models.directory` to another folder". */
  remedy: string;
  /** Bytes that asrpro wants to write, where that is known. */
  neededBytes?: number;
}

const FULL = ['ENOSPC', 'EDQUOT', 'EFBIG'];

/** What an errno says about a file or folder, as the end of a sentence. This is the only such table. */
const ERRNO_WORDS: Record<string, string> = {
  EACCES: 'permission denied',
  EPERM: 'permission denied',
  EROFS: 'the file system is read-only',
  EIO: 'the disk reports an error',
  EMFILE: 'too many files are open',
  ENFILE: 'too many files are open',
  ENOENT: 'no such file or folder',
  ENOTDIR: 'a file is where a folder should be',
  EISDIR: 'a folder is where a file should be',
  ELOOP: 'it is a link that leads to itself',
  ENAMETOOLONG: 'its name is too long',
  EBADF: 'it is not open',
  EBUSY: 'another program uses it',
  ETXTBSY: 'another program uses it',
  EEXIST: 'something else has that name',
  ENOTEMPTY: 'the folder is not empty',
  ESTALE: 'the disk is gone',
  ENODEV: 'the disk is gone',
  ENXIO: 'the disk is gone',
  ENOSPC: 'the disk is full',
  EDQUOT: 'the disk quota is used up',
  EFBIG: 'the file is too large for the disk',
  EAGAIN: 'too many processes or threads run',
  ENOMEM: 'there is too little memory',
  ENOEXEC: 'it is not a program for this machine',
};

/** The cause of a failed file system call: "permission denied (EACCES)". */
export function errnoWords(error: unknown): string {
  const { code, message } = error as NodeJS.ErrnoException;
  if (code === undefined) return message;
  return ERRNO_WORDS[code] === undefined ? `the system reports ${code}` : `${ERRNO_WORDS[code]} (${code})`;
}

/** A failure of the local disk: `disk_full` or `folder_unusable`, never a network error. */
export function diskError(thrown: unknown, { name, folder, remedy, neededBytes }: Place): AsrproError {
  if (thrown instanceof AsrproError) return thrown;
  const { code = '' } = thrown as NodeJS.ErrnoException;
  if (!FULL.includes(code)) {
    const tooMany = code === 'EMFILE' || code === 'ENFILE';
    return new AsrproError('folder_unusable', `${upperFirst(name)} cannot be used: ${errnoWords(thrown)}.`, {
      hint: tooMany ? 'Raise the limit of open files (`ulimit -n`).' : `Fix that, or ${remedy}.`,
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

/** Runs work that uses only the local disk. Throws `disk_full` or `folder_unusable` when a system call fails. */
export async function onDisk<T>(place: Place, work: () => T | Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (thrown) {
    const { code, syscall } = thrown as NodeJS.ErrnoException;
    // An error without a system call is a defect in asrpro and must stay an internal error.
    throw typeof code === 'string' && syscall !== undefined ? diskError(thrown, place) : thrown;
  }
}

/** Creates a folder and its parents where they are missing. Throws as `onDisk` does. */
export async function makeFolder(folder: string, place: Place): Promise<void> {
  await onDisk(place, () => makeFolders(folder));
}

/** Creates the folder for its owner only, and checks that asrpro can store files in it. Throws as `onDisk` does. */
export async function requireFolder(place: Place): Promise<void> {
  await onDisk(place, () => {
    makeFolders(place.folder, 0o700);
    accessSync(place.folder, constants.W_OK | constants.X_OK);
  });
}

/**
 * A folder that ASRPRO_HOME or the platform chose. Its path is in the messages: only the person who starts asrpro reads
 * them.
 */
export function homePlace(folder: string, { ASRPRO_HOME }: NodeJS.ProcessEnv): Place {
  const source = ASRPRO_HOME ? ' (from ASRPRO_HOME)' : '';
  return { name: `the folder ${folder}${source}`, folder, remedy: 'set ASRPRO_HOME to a folder that you may write' };
}

/** `mkdir -p` with the real reason in its error: Node reports ENOENT for every obstacle, for example a read-only disk. */
export function makeFolders(folder: string, mode = 0o777): void {
  try {
    mkdirSync(folder, { recursive: true, mode });
  } catch (error) {
    // Creating the first missing folder on its own gives the reason.
    let first = path.resolve(folder);
    while (!existsSync(path.dirname(first))) first = path.dirname(first);
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') mkdirSync(first);
    throw error;
  }
}

/** Throws `disk_full` before the first byte is written. `what` needs the space: "the engine". */
export function requireSpace({ folder, remedy }: Place, bytes: number, what: string): void {
  const free = freeBytes(folder);
  if (free === null || bytes <= free) return;
  const message = `${upperFirst(what)} needs ${megabytes(bytes)} of disk space, and ${megabytes(free)} are free.`;
  throw new AsrproError('disk_full', message, { hint: `Free some space, or ${remedy}.` });
}

export function megabytes(bytes: number): string {
  return `${Math.ceil(bytes / 1e6)} MB`;
}

/** Free bytes for this user on the disk that holds the folder; null where the system does not report them. */
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

import { randomUUID } from 'node:crypto';
import {
  accessSync,
  constants,
  createReadStream,
  createWriteStream,
  fstatSync,
  openSync,
  readdirSync,
  realpathSync,
  type Stats,
  statSync,
} from 'node:fs';
import { rm } from 'node:fs/promises';
import { Socket } from 'node:net';
import path from 'node:path';
import type { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { errnoWords } from '../disk-error.ts';
import { AsrproError, type ErrorCode } from '../errors.ts';

/** An audio file that the worker can open by its path. */
export interface AudioInput {
  path: string;
  /** Removes the private copy, if there is one. */
  discard(): Promise<void>;
}

export interface CopyTo {
  /** A private folder. */
  directory: string;
  /** Limit for one copy, because the length of a pipe is unknown. */
  maxBytes: number;
  signal: AbortSignal;
}

/**
 * Opens an argument of the command line: a file, a pipe, or a descriptor of this process such as `-` and `/dev/fd/63`.
 * Copies whatever the worker could not open by a path. Errors name the argument.
 */
export async function openAudio(argument: string, copyTo: CopyTo): Promise<AudioInput> {
  if (argument === '') throw refused('The name of the file is empty.');
  const descriptor = descriptorOf(argument);
  if (descriptor !== null) {
    const name = descriptor === 0 ? 'stdin' : argument;
    return await copy(name, fromDescriptor(name, descriptor), copyTo);
  }
  const { name, stats } = find(argument);
  if (stats.isFIFO()) return await copy(argument, openPipe(name), copyTo);
  refuseOthers(argument, stats);
  try {
    accessSync(name, constants.R_OK);
  } catch (cause) {
    throw unreadable(argument, cause);
  }
  if (stats.size === 0) throw empty(argument);
  // The wire cannot carry a file name that is not valid UTF-8.
  if (typeof name !== 'string') return await copy(argument, createReadStream(name), copyTo);
  return { path: name, discard: async () => undefined };
}

/** The number in a path such as /dev/fd/63, which bash passes for `<(command)`. The worker could not open that path. */
function descriptorOf(argument: string): number | null {
  if (argument === '-' || argument === '/dev/stdin') return 0;
  const number = /^\/(?:dev|proc\/self)\/fd\/(\d+)$/.exec(argument)?.[1];
  return number === undefined ? null : Number(number);
}

function fromDescriptor(argument: string, descriptor: number): Readable {
  if (descriptor === 0) {
    if (process.stdin.isTTY) throw refused(`${argument} is the terminal; send the audio through a pipe.`);
    return process.stdin;
  }
  let stats: Stats;
  try {
    stats = fstatSync(descriptor);
  } catch (cause) {
    throw unreadable(argument, cause);
  }
  if (stats.isFIFO() || stats.isSocket()) return new Socket({ fd: descriptor, readable: true, writable: false });
  refuseOthers(argument, stats);
  return createReadStream('', { fd: descriptor });
}

function find(argument: string): { name: string | Buffer; stats: Stats } {
  try {
    const name = realpathSync(argument);
    return { name, stats: statSync(name) };
  } catch (cause) {
    const bytes = argument.includes('\uFFFD') ? nameInBytes(argument) : null;
    if (bytes !== null) return { name: bytes, stats: statSync(bytes) };
    throw unreadable(argument, cause);
  }
}

/** Finds the raw name of a file whose name is not valid UTF-8: Node has put replacement characters into the argument. */
function nameInBytes(argument: string): Buffer | null {
  try {
    const folder = path.dirname(path.resolve(argument));
    const entries = readdirSync(folder, { encoding: 'buffer' });
    const matches = entries.filter((entry) => entry.toString() === path.basename(argument));
    return matches.length === 1 ? Buffer.concat([Buffer.from(`${folder}${path.sep}`), matches[0]!]) : null;
  } catch {
    return null;
  }
}

/**
 * Opens a pipe without blocking: a read from a pipe without a writer would block a thread, and so the end of this
 * process.
 */
function openPipe(name: string | Buffer): Readable {
  const fd = openSync(name, constants.O_RDONLY | constants.O_NONBLOCK);
  return new Socket({ fd, readable: true, writable: false });
}

async function copy(argument: string, source: Readable, { directory, maxBytes, signal }: CopyTo): Promise<AudioInput> {
  const file = path.join(directory, randomUUID());
  const discard = async (): Promise<void> => await rm(file, { force: true });
  let bytes = 0;
  async function* limited(chunks: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
    for await (const chunk of chunks) {
      bytes += chunk.length;
      if (bytes > maxBytes) throw tooLarge(argument, maxBytes);
      yield chunk;
    }
  }
  try {
    await pipeline(source, limited, createWriteStream(file, { flags: 'wx', mode: 0o600 }), { signal });
    if (bytes === 0) throw empty(argument);
    return { path: file, discard };
  } catch (thrown) {
    await discard();
    if (thrown instanceof AsrproError) throw thrown;
    if (signal.aborted) throw new AsrproError('cancelled', `Stopped while reading ${argument}.`, { cause: thrown });
    throw unreadable(argument, thrown);
  }
}

function refuseOthers(argument: string, stats: Stats): void {
  if (stats.isDirectory()) throw refused(`${argument} is a folder; name the files in it.`);
  if (!stats.isFile()) throw refused(`${argument} is ${stats.isSocket() ? 'a socket' : 'a device'}, not a file.`);
}

function unreadable(argument: string, cause: unknown): AsrproError {
  const { code } = cause as NodeJS.ErrnoException;
  if (code === 'ENOENT' || code === 'ENOTDIR') return refused(`${argument} does not exist.`, cause);
  if (code === 'ENOSPC' || code === 'EDQUOT' || code === 'EFBIG') {
    return refused(`There is no disk space left for a copy of ${argument}.`, cause, 'disk_full');
  }
  return refused(`${argument} cannot be read: ${errnoWords(cause)}.`, cause);
}

function empty(argument: string): AsrproError {
  return refused(`${argument} is empty.`, undefined, 'invalid_file_format');
}

function tooLarge(argument: string, maxBytes: number): AsrproError {
  return refused(`${argument} has more than ${maxBytes} bytes (server.maxUploadBytes).`, undefined, 'file_too_large');
}

function refused(message: string, cause?: unknown, code: ErrorCode = 'invalid_value'): AsrproError {
  return new AsrproError(code, message, { param: 'file', cause });
}

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
import { AsrproError, type ErrorCode } from '../errors.ts';

/** A file that the worker can open by its name. */
export interface AudioInput {
  path: string;
  /** Removes the private copy, where there is one. */
  discard(): Promise<void>;
}

export interface CopyTo {
  /** A private folder. */
  directory: string;
  /** Of one copy; nobody knows how long a pipe is. */
  maxBytes: number;
  signal: AbortSignal;
}

/**
 * What `argument` of a command line stands for: the name of a file, of a pipe, or of a descriptor of this process such as
 * `-` and `/dev/fd/63`. What has no name for other processes is copied. Throws with a sentence that names the argument.
 */
export async function openAudio(argument: string, copyTo: CopyTo): Promise<AudioInput> {
  if (argument === '') throw refused('A file without a name does not exist.');
  const descriptor = descriptorOf(argument);
  if (descriptor !== null) {
    const words = descriptor === 0 ? 'stdin' : argument;
    return await copy(words, fromDescriptor(words, descriptor), copyTo);
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
  // Names of bytes that are no text cannot be told to the worker.
  if (typeof name !== 'string') return await copy(argument, createReadStream(name), copyTo);
  return { path: name, discard: async () => undefined };
}

/** The end of a path such as /dev/fd/63, which bash writes for `<(command)`; in another process it is another file. */
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

/** Node has put a replacement character for each byte of a name that is no UTF-8; the folder still knows the bytes. */
function nameInBytes(argument: string): Buffer | null {
  try {
    const folder = path.dirname(path.resolve(argument));
    const entries = readdirSync(folder, { encoding: 'buffer' });
    const alike = entries.filter((entry) => entry.toString() === path.basename(argument));
    return alike.length === 1 ? Buffer.concat([Buffer.from(`${folder}${path.sep}`), alike[0]!]) : null;
  } catch {
    return null;
  }
}

/** A pipe that nobody writes to yet would block a thread, and with it the end of this process, for as long. */
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
    if (signal.aborted) throw new AsrproError('cancelled', `Stopped while ${argument} was read.`, { cause: thrown });
    throw unreadable(argument, thrown);
  }
}

function refuseOthers(argument: string, stats: Stats): void {
  if (stats.isDirectory()) throw refused(`${argument} is a folder; name the files in it.`);
  if (!stats.isFile()) throw refused(`${argument} is ${stats.isSocket() ? 'a socket' : 'a device'} and no file.`);
}

function unreadable(argument: string, cause: unknown): AsrproError {
  const { code, message } = cause as NodeJS.ErrnoException;
  if (code === 'ENOENT' || code === 'ENOTDIR') return refused(`${argument} does not exist.`, cause);
  if (code === 'EACCES' || code === 'EPERM') return refused(`${argument} cannot be read: permission is denied.`, cause);
  if (code === 'EBADF') return refused(`${argument} is not open.`, cause);
  if (code === 'ENOSPC' || code === 'EDQUOT' || code === 'EFBIG') {
    return refused(`There is no disk space left for a copy of ${argument}.`, cause, 'disk_full');
  }
  return refused(`${argument} cannot be read (${code ?? message}).`, cause);
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

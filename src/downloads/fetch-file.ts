import { open, rename, rm } from 'node:fs/promises';
import path from 'node:path';
import { pipeline, type Readable, type Transform } from 'node:stream';
import { setTimeout as pause } from 'node:timers/promises';
import { createBrotliDecompress, createGunzip, createInflate } from 'node:zlib';
import { HTTPError, type Response } from 'got';
import { makeFolder, onDisk, type Place } from '../disk-error.ts';
import { AsrproError } from '../errors.ts';
import { type Backoff, pauseBefore } from './backoff.ts';
import type { HubClient } from './hub-client.ts';
import { cutShort, hubFailure, otherAnswer, stalled, webPage } from './hub-error.ts';
import type { Expected } from './listing.ts';
import { PartialFile } from './partial-file.ts';

export interface FileFetch {
  client: HubClient;
  url: string;
  /** Final path. The file gets this name when its content is complete, checked and on disk. */
  target: string;
  expected: Expected;
  /** The folder that error messages name. */
  place: Place;
  signal: AbortSignal;
  backoff: Backoff;
  /** Reports the bytes on disk, including those of an earlier try; `verifying` while those are read again. */
  onBytes(done: number, phase: 'downloading' | 'verifying'): void;
  /** The bytes so far were wrong and were discarded: the count is back at 0. */
  onRestart(): void;
}

/** The path of an unfinished file. It contains the hash, so that bytes of another content are never continued. */
export function partialPath(target: string, { hash }: Expected): string {
  return `${target}.${hash.hex.slice(0, 12)}.partial`;
}

/**
 * Downloads one file: resumes where an earlier try or process stopped, checks size and hash, and renames the file into
 * place. Returns its sha256. Throws AsrproError; keeps the partial file where a later try can resume it.
 */
export async function fetchFile(fetch: FileFetch): Promise<string> {
  const { target, expected, signal } = fetch;
  const kept = partialPath(target, expected);
  const place = { ...fetch.place, neededBytes: expected.size };
  await makeFolder(path.dirname(target), place);
  let partial: PartialFile | undefined;
  try {
    partial = await PartialFile.open(kept, expected, place, signal, (done) => fetch.onBytes(done, 'verifying'));
    let restarted = false;
    for (;;) {
      await complete(fetch, partial);
      if (partial.isComplete()) break;
      await restart(fetch, partial);
      // One restart is allowed, because the bytes kept from an earlier try may be wrong.
      if (restarted) throw mismatch(expected);
      restarted = true;
    }
    await partial.finish();
    await onDisk(place, async () => {
      await rename(kept, target);
      await syncFolder(path.dirname(target));
    });
    return partial.sha256();
  } catch (error) {
    await partial?.close().catch(() => undefined);
    const { code } = hubFailure(error, expected.path).error;
    if (code === 'checksum_mismatch' || code === 'disk_full') await rm(kept, { force: true }).catch(() => undefined);
    if (signal.aborted) throw new AsrproError('download_cancelled', 'The download was cancelled.');
    throw error;
  }
}

/** Requests the rest until all bytes have arrived. Gives up after too many consecutive failures without progress. */
async function complete(fetch: FileFetch, partial: PartialFile): Promise<void> {
  const { client, expected, signal, backoff } = fetch;
  let best = partial.done;
  let failures = 0;
  while (partial.done < expected.size) {
    try {
      const before = partial.done;
      const isPart = await request(fetch, partial);
      if (partial.done < expected.size && !(isPart && partial.done > before)) throw cutShort(expected.path);
    } catch (thrown) {
      if (signal.aborted) throw thrown;
      if (client.dropToken(thrown)) continue;
      const rangeRefused = thrown instanceof HTTPError && thrown.response.statusCode === 416;
      if (rangeRefused) await restart(fetch, partial);
      const { error, retry, retryAfterSeconds } = hubFailure(thrown, expected.path, client);
      if (!retry && !rangeRefused) throw error;
      failures = partial.done > best ? 1 : failures + 1;
      best = Math.max(best, partial.done);
      const wait = pauseBefore(failures, retryAfterSeconds, backoff, Math.random());
      if (wait === null) throw error;
      await pause(wait, undefined, { signal });
    }
  }
}

/**
 * Sends one request for the rest of the file and reads until the answer ends. Returns whether the server has announced only
 * a part of the rest, as some proxies and CDNs do for large files.
 */
async function request(fetch: FileFetch, partial: PartialFile): Promise<boolean> {
  const { client, url, expected, signal, backoff } = fetch;
  const stall = new AbortController();
  const timer = setTimeout(() => stall.abort(), backoff.stallMs);
  const headers = partial.done > 0 ? { range: `bytes=${partial.done}-` } : {};
  const stream = client.got.stream(url, { headers, signal: AbortSignal.any([signal, stall.signal]) });
  try {
    const response = await new Promise<Response>((resolve, reject) => {
      stream.once('response', resolve);
      stream.once('error', reject);
    });
    const decoder = DECODERS[(response.headers['content-encoding'] ?? '').trim().toLowerCase()];
    const isPart = await acceptAnswer(fetch, partial, response, decoder !== undefined);
    for await (const chunk of decoder ? decoded(stream, decoder()) : stream) {
      timer.refresh();
      if (partial.done + chunk.length > expected.size) throw mismatch(expected);
      await partial.add(chunk);
      fetch.onBytes(partial.done, 'downloading');
    }
    return isPart;
  } catch (error) {
    throw stall.signal.aborted && !signal.aborted ? stalled(expected.path, backoff.stallMs / 1000) : error;
  } finally {
    clearTimeout(timer);
    stream.destroy();
    await partial.settle();
  }
}

/** Some servers and proxies compress although the request asks for plain bytes. */
const DECODERS: Readonly<Record<string, () => Transform>> = {
  gzip: createGunzip,
  deflate: createInflate,
  br: createBrotliDecompress,
};

/** `pipeline` passes on an error of the source; `pipe` alone does not. */
function decoded(stream: Readable, content: Transform): Readable {
  pipeline(stream, content, () => undefined);
  return content;
}

/**
 * Checks that the answer continues the partial file, and returns whether it is only a part of the rest. Starts over if the
 * server sends the whole file or another range; throws if it sends another file.
 */
async function acceptAnswer(
  fetch: FileFetch,
  partial: PartialFile,
  response: Response,
  compressed: boolean,
): Promise<boolean> {
  const { expected } = fetch;
  if (/^text\/html\b/i.test(response.headers['content-type'] ?? '') && !/\.html?$/i.test(expected.path)) {
    throw webPage(expected.path, new URL(response.url).host);
  }
  const range = /^bytes (\d+)-(\d+)\/(\d+|\*)$/.exec(String(response.headers['content-range'] ?? ''));
  const goesOn = response.statusCode === 206 && !compressed && Number(range?.[1]) === partial.done;
  const length = response.headers['content-length'];
  if (partial.done > 0 && !goesOn) {
    // Before the bytes that have arrived are given up, the answer must at least look like the file.
    if (response.statusCode === 200 && !compressed && length !== undefined && Number(length) !== expected.size) {
      throw otherAnswer(expected.path, new URL(response.url).host, Number(length));
    }
    await restart(fetch, partial);
    // The next request asks for the whole file.
    if (response.statusCode === 206) throw cutShort(expected.path);
  }
  const total = range?.[3] === undefined || range[3] === '*' ? expected.size : Number(range[3]);
  const isPart = goesOn && Number(range?.[2]) < total - 1;
  const isWrong = length !== undefined && !compressed && !isPart && partial.done + Number(length) !== expected.size;
  if (isWrong || total !== expected.size) throw mismatch(expected);
  return isPart;
}

async function restart(fetch: FileFetch, partial: PartialFile): Promise<void> {
  await partial.restart();
  fetch.onRestart();
}

/** A rename survives a power loss only when the folder has been synced. */
async function syncFolder(folder: string): Promise<void> {
  if (process.platform === 'win32') return;
  const handle = await open(folder, 'r');
  await handle.sync().catch(() => undefined);
  await handle.close();
}

function mismatch({ path: name }: Expected): AsrproError {
  return new AsrproError(
    'checksum_mismatch',
    `The file '${name}' from the hub has a wrong size or hash; it was removed.`,
    {
      hint: 'Try again.',
    },
  );
}

import { rmSync } from 'node:fs';
import path from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import type { Place } from '../disk-error.ts';
import { AsrproError } from '../errors.ts';
import type { InstalledModel } from '../models/store.ts';
import { type Backoff, pauseBefore } from './backoff.ts';
import { fetchFile, partialPath } from './fetch-file.ts';
import type { HubClient } from './hub-client.ts';
import { hubFailure } from './hub-error.ts';
import { type Expected, type Listing, pinnedListing, requestListing } from './listing.ts';
import type { Progress } from './progress.ts';
import type { DownloadSource } from './source.ts';

export interface HubFetch {
  client: HubClient;
  source: DownloadSource;
  folder: string;
  /** The folder that error messages name. */
  place: Place;
  signal: AbortSignal;
  backoff: Backoff;
  progress: Progress;
}

/** Files downloaded at the same time. One connection rarely fills a line; servers take many more for an attack. */
const PARALLEL = 3;

/** Lists the model's files: from the catalogue where that states everything, else from the hub. Throws AsrproError. */
export async function listFiles({ client, source, signal, backoff }: HubFetch): Promise<Listing> {
  const pinned = pinnedListing(source);
  if (pinned !== null) return pinned;
  const repos = [source.repo, ...source.alternate_repos];
  for (const [index, repo] of repos.entries()) {
    for (let failures = 0; ; ) {
      try {
        return await requestListing(client, source, repo, signal);
      } catch (thrown) {
        signal.throwIfAborted();
        if (client.dropToken(thrown)) continue;
        const { error, retry, retryAfterSeconds } = hubFailure(thrown, repo, client);
        failures += 1;
        const wait = retry ? pauseBefore(failures, retryAfterSeconds, backoff, Math.random()) : null;
        if (wait !== null) await pause(wait, undefined, { signal });
        else if (error.code === 'hub_not_found' && index + 1 < repos.length) break;
        else throw error;
      }
    }
  }
  throw new AsrproError('hub_not_found', `The hub has no '${source.repo}'.`);
}

/** Downloads files into the model's folder, several at a time. The first failure stops the others. Throws AsrproError. */
export async function fetchFromHub(
  { client, source, folder, place, signal, backoff, progress }: HubFetch,
  { repo, revision }: Listing,
  files: readonly Expected[],
): Promise<InstalledModel['files']> {
  const failed = new AbortController();
  const either = AbortSignal.any([signal, failed.signal]);
  const waiting = [...files];
  const fetched: InstalledModel['files'] = [];
  let failure: unknown;

  const work = async (): Promise<void> => {
    for (let expected = waiting.shift(); expected !== undefined; expected = waiting.shift()) {
      const { path: name, size } = expected;
      const sha256 = await fetchFile({
        client,
        place,
        url: fileUrl(client.endpoint, repo, revision, name),
        target: path.join(folder, ...name.split('/')),
        expected,
        signal: either,
        backoff,
        onBytes: (done, phase) => progress.bytes(name, done, phase),
        onRestart: () => progress.restarted(name),
      });
      progress.bytes(name, size, 'done');
      fetched.push({ path: name, size, sha256 });
    }
  };
  const stopOthers = (error: unknown): void => {
    failure ??= error;
    failed.abort();
    waiting.length = 0;
  };
  await Promise.all(Array.from({ length: PARALLEL }, () => work().catch(stopOthers)));
  if (failure !== undefined) {
    signal.throwIfAborted();
    const { error } = hubFailure(failure, source.repo, client);
    if (error.code === 'disk_full') removePartials(folder, files);
    throw error;
  }
  return fetched;
}

function fileUrl(endpoint: string, repo: string, revision: string, name: string): string {
  const [where, what] = [repo, name].map((parts) => parts.split('/').map(encodeURIComponent).join('/'));
  return `${endpoint}/${where}/resolve/${encodeURIComponent(revision)}/${what}`;
}

/** A full disk does the machine more harm than a download that starts over. */
function removePartials(folder: string, files: readonly Expected[]): void {
  for (const file of files) rmSync(partialPath(path.join(folder, file.path), file), { force: true });
}

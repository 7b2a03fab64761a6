import { z } from 'zod';
import { AsrproError } from '../errors.ts';
import type { CatalogueFile } from '../models/catalogue.ts';
import type { HubClient } from './hub-client.ts';
import { webPage } from './hub-error.ts';
import type { DownloadSource } from './source.ts';

/** The expected size and hash of a file. `gitBlob` is git's SHA-1 of the content with a header. */
export interface Expected {
  /** Relative to the model's folder, `/` between parts. */
  path: string;
  size: number;
  hash: { algorithm: 'sha256' | 'gitBlob'; hex: string };
  /** Who stated the hash. */
  statedBy: 'catalogue' | 'hub';
}

export interface Listing {
  /** The repository in use; may be one of the catalogue's alternates. */
  repo: string;
  /** 40 hex digits. */
  revision: string;
  files: Expected[];
}

const answer = z.object({
  sha: z.string().regex(/^[0-9a-f]{40}$/),
  siblings: z.array(
    z.object({
      rfilename: z.string(),
      size: z.number().int().nonnegative().nullish(),
      blobId: z.string().nullish(),
      lfs: z.object({ sha256: z.string(), size: z.number() }).nullish(),
    }),
  ),
});

/** Files that are not part of the model, in a repository whose files the catalogue does not list. */
const NO_MODEL_FILE = /^(\.|.*\.(md|png|jpg|gitattributes)$)/i;

/** The listing without a request; null unless the catalogue states the revision and every size and hash. */
export function pinnedListing({ repo, revision, files }: DownloadSource): Listing | null {
  if (revision === null || !/^[0-9a-f]{40}$/.test(revision) || files.length === 0) return null;
  const expected: Expected[] = [];
  for (const { path, size, sha256 } of files) {
    if (size === null || sha256 === null) return null;
    expected.push({ path, size, hash: { algorithm: 'sha256', hex: sha256 }, statedBy: 'catalogue' });
  }
  return { repo, revision, files: expected };
}

/** Time limit for the whole listing, in milliseconds: it is small, so that a stall limit is not needed. */
const LISTING_MS = 60_000;

function parse(body: string): unknown {
  try {
    return JSON.parse(body);
  } catch {
    return null;
  }
}

/**
 * Gets the revision and all sizes and hashes with one request. Throws got's errors, and `download_failed` for a bad
 * listing.
 */
export async function requestListing(
  { got, endpoint }: HubClient,
  model: DownloadSource,
  repo: string,
  signal: AbortSignal,
): Promise<Listing> {
  const revision = encodeURIComponent(model.revision ?? 'main');
  const url = `${endpoint}/api/models/${repo}/revision/${revision}?blobs=true`;
  // Some mirrors compress it although the request asks for plain bytes.
  const response = await got(url, { signal, timeout: { request: LISTING_MS }, decompress: true });
  if (response.body.trimStart().startsWith('<')) throw webPage(repo, new URL(response.url).host);
  const parsed = answer.safeParse(parse(response.body));
  if (!parsed.success) throw new AsrproError('download_failed', `The hub's list of files of '${repo}' is malformed.`);
  const known = new Map(model.files.map((file) => [file.path, file]));
  const files: Expected[] = [];
  for (const sibling of parsed.data.siblings) {
    const name = sibling.rfilename;
    const pinned = known.get(name);
    if (model.files.length > 0 && pinned === undefined) continue;
    if (!isInside(name)) {
      throw new AsrproError('download_failed', `The hub's list of files of '${repo}' has an unsafe file name.`);
    }
    if (NO_MODEL_FILE.test(name)) continue;
    files.push(expectedOf(name, sibling, pinned));
    known.delete(name);
  }
  const [missing] = known.keys();
  if (missing !== undefined) {
    throw new AsrproError('hub_not_found', `The hub has no '${missing}' in '${repo}'.`);
  }
  return { repo, revision: parsed.data.sha, files };
}

function expectedOf(
  path: string,
  { size, blobId, lfs }: z.infer<typeof answer>['siblings'][number],
  pinned: CatalogueFile | undefined,
): Expected {
  const bytes = pinned?.size ?? lfs?.size ?? size;
  const sha256 = pinned?.sha256 ?? lfs?.sha256;
  const statedBy = pinned?.sha256 ? 'catalogue' : 'hub';
  if (bytes == null || (sha256 == null && blobId == null)) {
    throw new AsrproError('download_failed', `The hub states neither size nor hash of '${path}'.`);
  }
  if (sha256 != null) return { path, size: bytes, hash: { algorithm: 'sha256', hex: sha256 }, statedBy };
  return { path, size: bytes, hash: { algorithm: 'gitBlob', hex: blobId! }, statedBy };
}

/** Whether a name from a listing stays inside the model's folder on every platform and is not one of asrpro's own files. */
export function isInside(name: string): boolean {
  if (name === '' || /[\\:\0]/.test(name) || name.startsWith('/')) return false;
  return name.split('/').every((part) => part !== '' && part !== '.' && part !== '..' && !part.startsWith('.asrpro'));
}

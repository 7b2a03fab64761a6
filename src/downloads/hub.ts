import { createHash } from 'node:crypto';
import { createWriteStream, mkdirSync, renameSync, rmSync } from 'node:fs';
import path from 'node:path';
import { pipeline } from 'node:stream/promises';
import type { Got } from 'got';
import { AsrproError } from '../errors.ts';
import type { CatalogueFile, CatalogueModel } from '../models/catalogue.ts';

export interface HubFetch {
  got: Got;
  /** Without a slash at the end. */
  endpoint: string;
  model: CatalogueModel;
  folder: string;
  signal: AbortSignal;
  onBytes(file: string, bytes: number): void;
}

/** Every file of a pinned model from the hub, checked and renamed into place. */
export async function fetchFromHub(options: HubFetch): Promise<{ path: string; size: number; sha256: string }[]> {
  const files = [];
  for (const file of options.model.files) files.push({ path: file.path, ...(await fetchFile(options, file)) });
  return files;
}

async function fetchFile(
  { got, endpoint, model, folder, signal, onBytes }: HubFetch,
  file: CatalogueFile,
): Promise<{ size: number; sha256: string }> {
  const target = path.join(folder, file.path);
  const partial = `${target}.partial`;
  mkdirSync(path.dirname(target), { recursive: true });
  const hash = createHash('sha256');
  let size = 0;
  const url = `${endpoint}/${model.repo}/resolve/${model.revision ?? 'main'}/${file.path}`;
  await pipeline(
    got.stream(url, { signal, headers: { 'accept-encoding': 'identity' } }),
    async function* (chunks: AsyncIterable<Buffer>) {
      for await (const chunk of chunks) {
        hash.update(chunk);
        size += chunk.length;
        onBytes(file.path, size);
        yield chunk;
      }
    },
    createWriteStream(partial, { flush: true }),
  );
  const sha256 = hash.digest('hex');
  if ((file.size !== null && file.size !== size) || (file.sha256 !== null && file.sha256 !== sha256)) {
    rmSync(partial, { force: true });
    throw new AsrproError('checksum_mismatch', `The file '${file.path}' from the hub is not the expected one.`);
  }
  renameSync(partial, target);
  return { size, sha256 };
}

import { createHash, type Hash } from 'node:crypto';
import type { FileHandle } from 'node:fs/promises';
import type { Expected } from './listing.ts';

/** Bytes read at once. */
const BLOCK = 1024 * 1024;

/** Hashes a file's content, which must be fed in order, and compares the result with the expected hash. */
export interface ContentHash {
  update(chunk: Uint8Array): void;
  matches(): boolean;
  /** sha256 of the content in hex, for the marker. */
  sha256(): string;
}

export function contentHash({ hash, size }: Pick<Expected, 'hash' | 'size'>): ContentHash {
  const sha256 = createHash('sha256');
  const git: Hash | null = hash.algorithm === 'gitBlob' ? createHash('sha1').update(`blob ${size}\0`) : null;
  return {
    update(chunk) {
      sha256.update(chunk);
      git?.update(chunk);
    },
    matches: () => (git ?? sha256).copy().digest('hex') === hash.hex,
    sha256: () => sha256.copy().digest('hex'),
  };
}

/** Feeds the first `size` bytes of a file to the hash. */
export async function hashPrefix(
  file: FileHandle,
  size: number,
  hash: ContentHash,
  signal: AbortSignal,
  onBytes: (done: number) => void,
): Promise<void> {
  const block = Buffer.allocUnsafe(Math.min(BLOCK, size));
  for (let done = 0; done < size; ) {
    signal.throwIfAborted();
    const { bytesRead } = await file.read(block, 0, Math.min(block.length, size - done), done);
    if (bytesRead === 0) throw new Error('the file has become shorter');
    hash.update(block.subarray(0, bytesRead));
    done += bytesRead;
    onBytes(done);
  }
}

import { type FileHandle, open } from 'node:fs/promises';
import { onDisk, type Place } from '../disk-error.ts';
import { type ContentHash, contentHash, hashPrefix } from './content-hash.ts';
import type { Expected } from './listing.ts';

/** Bytes that are worth a write. */
const BATCH = 512 * 1024;
/** Bytes that are received while others are written. Then the connection waits. */
const AHEAD = 2 * 1024 * 1024;
/** After so many bytes the disk is asked to keep them, so that a machine that goes down loses little. */
const DURABLE_EVERY = 16 * 1024 * 1024;

/**
 * A file in work: what is on disk, and its hash so far. The next bytes are received while the last ones are written. Whatever
 * the disk refuses is thrown as `disk_full` or `folder_unusable`: from here on nobody can take it for the network.
 */
export class PartialFile {
  readonly #file: FileHandle;
  readonly #expected: Expected;
  readonly #place: Place;
  #hash: ContentHash;
  #received = 0;
  #batch: Uint8Array[] = [];
  #batched = 0;
  #written: Promise<unknown> = Promise.resolve();
  #isWriting = false;
  #durable: Promise<unknown> = Promise.resolve();
  #undurable = 0;

  private constructor(file: FileHandle, expected: Expected, place: Place) {
    this.#file = file;
    this.#expected = expected;
    this.#place = place;
    this.#hash = contentHash(expected);
  }

  /** Hashes what is kept, so that the check at the end covers the whole file. */
  static async open(
    path: string,
    expected: Expected,
    place: Place,
    signal: AbortSignal,
    onBytes: (done: number) => void,
  ): Promise<PartialFile> {
    const file = await onDisk(place, () => open(path, 'a+'));
    const partial = new PartialFile(file, expected, place);
    try {
      await onDisk(place, async () => {
        const { size } = await file.stat();
        if (size > expected.size) await file.truncate(0);
        else if (size > 0) {
          await hashPrefix(file, size, partial.#hash, signal, onBytes);
          partial.#received = size;
        }
      });
      return partial;
    } catch (error) {
      await file.close();
      throw error;
    }
  }

  /** Bytes received; after `settle` they are all written. */
  get done(): number {
    return this.#received;
  }

  isRight(): boolean {
    return this.#received === this.#expected.size && this.#hash.matches();
  }

  sha256(): string {
    return this.#hash.sha256();
  }

  /** The chunk is the file's from here on: once it is written, its memory is gone. */
  async add(chunk: Uint8Array): Promise<void> {
    this.#hash.update(chunk);
    this.#batch.push(chunk);
    this.#batched += chunk.length;
    this.#received += chunk.length;
    if (this.#batched >= (this.#isWriting ? AHEAD : BATCH)) await this.#writeBatch();
  }

  /** Resolves when all that was added is written. Throws what the disk says. */
  async settle(): Promise<void> {
    await this.#writeBatch();
    await this.#written;
  }

  /** Forgets everything. */
  async restart(): Promise<void> {
    await this.settle();
    await onDisk(this.#place, () => this.#file.truncate(0));
    this.#hash = contentHash(this.#expected);
    this.#received = 0;
  }

  /** Resolves when the content is on disk, and closes. */
  async finish(): Promise<void> {
    await this.settle();
    await this.#durable;
    await onDisk(this.#place, async () => {
      await this.#file.sync();
      await this.#file.close();
    });
  }

  async close(): Promise<void> {
    await this.settle().catch(() => undefined);
    await this.#durable;
    await this.#file.close();
  }

  /** Begins to write, when the batch before is written. */
  async #writeBatch(): Promise<void> {
    await this.#written;
    if (this.#batch.length === 0) return;
    const [batch, length] = [this.#batch, this.#batched];
    this.#batch = [];
    this.#batched = 0;
    this.#isWriting = true;
    this.#written = onDisk(this.#place, () => this.#writeAll(batch, length)).finally(() => {
      this.#isWriting = false;
      batch.forEach(giveBack);
    });
    // Whoever waits for it next hears of a failure.
    this.#written.catch(() => undefined);
    this.#undurable += length;
    if (this.#undurable < DURABLE_EVERY) return;
    this.#undurable = 0;
    this.#durable = this.#durable.then(() => this.#file.datasync()).catch(() => undefined);
  }

  async #writeAll(batch: Uint8Array[], length: number): Promise<void> {
    const { bytesWritten } = await this.#file.writev(batch);
    if (bytesWritten === length) return;
    // Seldom: the disk is nearly full.
    const whole = Buffer.concat(batch);
    for (let from = bytesWritten; from < length; ) {
      from += (await this.#file.write(whole, from, length - from)).bytesWritten;
    }
  }
}

/**
 * Frees the memory of a chunk now. V8, which sees of each but a small object, would let them pile up to tens of megabytes
 * and then search its whole heap for them, again and again. (Node 20 does.) A chunk that shares its memory is left alone.
 */
function giveBack({ buffer, byteLength }: Uint8Array): void {
  if (buffer instanceof ArrayBuffer && buffer.byteLength === byteLength) buffer.transfer?.(0);
}

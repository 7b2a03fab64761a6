import { type FileHandle, open } from 'node:fs/promises';
import { onDisk, type Place } from '../disk-error.ts';
import { freeMemory } from '../network/free-memory.ts';
import { type ContentHash, contentHash, hashPrefix } from './content-hash.ts';
import type { Expected } from './listing.ts';

/** Smallest write, in bytes. */
const BATCH = 512 * 1024;
/** Bytes to receive while a write is running; then the connection waits. */
const AHEAD = 2 * 1024 * 1024;
/** Bytes between two `fdatasync` calls, so that a power loss costs little. */
const DURABLE_EVERY = 16 * 1024 * 1024;

/**
 * An unfinished file and the hash of its bytes so far. It receives the next bytes while it writes the last ones. Disk
 * errors are thrown as `disk_full` or `folder_unusable`, so that no caller takes them for network errors.
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

  /** Opens or creates the file and hashes its present bytes, so that the check at the end covers the whole file. */
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

  /** Bytes received. They are all written only after `settle`. */
  get done(): number {
    return this.#received;
  }

  /** Whether size and hash are the expected ones. */
  isComplete(): boolean {
    return this.#received === this.#expected.size && this.#hash.matches();
  }

  sha256(): string {
    return this.#hash.sha256();
  }

  /** Takes over the chunk: its memory is freed once it is written. */
  async add(chunk: Uint8Array): Promise<void> {
    this.#hash.update(chunk);
    this.#batch.push(chunk);
    this.#batched += chunk.length;
    this.#received += chunk.length;
    if (this.#batched >= (this.#isWriting ? AHEAD : BATCH)) await this.#writeBatch();
  }

  /** Resolves when everything added so far is written. Throws the disk's error. */
  async settle(): Promise<void> {
    await this.#writeBatch();
    await this.#written;
  }

  /** Discards all bytes. */
  async restart(): Promise<void> {
    await this.settle();
    await onDisk(this.#place, () => this.#file.truncate(0));
    this.#hash = contentHash(this.#expected);
    this.#received = 0;
  }

  /** Syncs the content to disk and closes the file. */
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

  /** Waits for the previous write, then starts the next one. */
  async #writeBatch(): Promise<void> {
    await this.#written;
    if (this.#batch.length === 0) return;
    const [batch, length] = [this.#batch, this.#batched];
    this.#batch = [];
    this.#batched = 0;
    this.#isWriting = true;
    this.#written = onDisk(this.#place, () => this.#writeAll(batch, length)).finally(() => {
      this.#isWriting = false;
      batch.forEach(freeMemory);
    });
    // The next caller that awaits the promise gets the error; until then it must not end the process as unhandled.
    this.#written.catch(() => undefined);
    this.#undurable += length;
    if (this.#undurable < DURABLE_EVERY) return;
    this.#undurable = 0;
    this.#durable = this.#durable.then(() => this.#file.datasync()).catch(() => undefined);
  }

  async #writeAll(batch: Uint8Array[], length: number): Promise<void> {
    const { bytesWritten } = await this.#file.writev(batch);
    if (bytesWritten === length) return;
    // A short write: the disk is nearly full.
    const whole = Buffer.concat(batch);
    for (let from = bytesWritten; from < length; ) {
      from += (await this.#file.write(whole, from, length - from)).bytesWritten;
    }
  }
}

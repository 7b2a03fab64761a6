/** The rate is averaged over this time, in milliseconds. */
const WINDOW_MS = 5_000;

/**
 * Bytes per second over the last seconds. Bytes kept from an earlier try must not count: note the first sample after
 * them.
 */
export class Speed {
  readonly #samples: { at: number; bytes: number }[] = [];

  /** @param bytes done so far. @param now in milliseconds of any monotonic clock. */
  note(bytes: number, now: number): void {
    const last = this.#samples.at(-1);
    if (last !== undefined && bytes < last.bytes) this.#samples.length = 0;
    this.#samples.push({ at: now, bytes });
    while (this.#samples.length > 2 && this.#samples[1]!.at < now - WINDOW_MS) this.#samples.shift();
  }

  /** No bytes have arrived for a while. */
  clear(): void {
    this.#samples.length = 0;
  }

  /** null before two samples. */
  bytesPerSecond(): number | null {
    const [first, last] = [this.#samples[0], this.#samples.at(-1)];
    if (first === undefined || last === undefined || last.at - first.at < 1) return null;
    return ((last.bytes - first.bytes) * 1000) / (last.at - first.at);
  }
}

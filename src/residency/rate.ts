/** Weight of the newest job in the moving average. */
const WEIGHT = 0.2;
/** Seconds assumed for a job before one was measured: an 11 s clip with whisper-base on two cores takes about 2 s. */
const FIRST_GUESS_SECONDS = 3;

/** How fast jobs are done, as a moving average, for an honest Retry-After. */
export class Rate {
  #secondsPerJob = FIRST_GUESS_SECONDS;

  /** @param seconds that one job took. */
  note(seconds: number): void {
    this.#secondsPerJob += WEIGHT * (seconds - this.#secondsPerJob);
  }

  /** Whole seconds, 1 to 60, until a queue of so many jobs has room again. */
  retryAfterSeconds(waiting: number, concurrency: number): number {
    return clampRetryAfter((this.#secondsPerJob * Math.max(1, waiting)) / (2 * concurrency));
  }
}

/** Clients ignore a Retry-After above 60 s, or sleep through all of it. */
export function clampRetryAfter(seconds: number): number {
  return Math.min(60, Math.max(1, Math.ceil(seconds)));
}

/** Weight of the newest job in the moving average. */
const WEIGHT = 0.2;

/** @param seconds that one job took. */
export function averaged(secondsPerJob: number, seconds: number): number {
  return secondsPerJob + WEIGHT * (seconds - secondsPerJob);
}

/** Whole seconds, 1 to 60, until a queue of so many jobs has room again: clients ignore more, or sleep through all of it. */
export function retryAfterSeconds(secondsPerJob: number, waiting: number, concurrency: number): number {
  const seconds = (secondsPerJob * Math.max(1, waiting)) / (2 * concurrency);
  return Math.min(60, Math.max(1, Math.ceil(seconds)));
}

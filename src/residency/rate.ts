/** Weight of the latest job in the moving average. */
const WEIGHT = 0.2;

/** @param seconds how long the latest job took. */
export function averaged(secondsPerJob: number, seconds: number): number {
  return secondsPerJob + WEIGHT * (seconds - secondsPerJob);
}

/** Seconds until half of the queue is done, from 1 to 60: clients ignore a longer wait, or sleep through it. */
export function retryAfterSeconds(secondsPerJob: number, waiting: number, concurrency: number): number {
  const seconds = (secondsPerJob * Math.max(1, waiting)) / (2 * concurrency);
  return Math.min(60, Math.max(1, Math.ceil(seconds)));
}

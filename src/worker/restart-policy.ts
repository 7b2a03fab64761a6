/** What is known about the worker's past when the next start is asked for. Times in seconds of one clock. */
export interface CrashHistory {
  /** When workers died before they were up, since one last was; oldest first. */
  readonly crashes: readonly number[];
}

export type StartDecision = { start: true; delaySeconds: number } | { start: false; retryAfterSeconds: number };

/** So many crashes within the window open the breaker. */
const BREAKER_CRASHES = 5;
const BREAKER_WINDOW_SECONDS = 180;
/** How long the open breaker refuses, counted from the last crash. */
const BREAKER_OPEN_SECONDS = 30;
const FIRST_DELAY_SECONDS = 0.25;
const LONGEST_DELAY_SECONDS = 8;

/**
 * Whether a worker may be started now, and after which delay. The first restart is immediate: most crashes are single.
 * Then the delay doubles, with up to 25 % jitter so that several gateways do not beat in time.
 *
 * @param random from 0 to 1.
 */
export function decideStart(history: CrashHistory, now: number, random: number): StartDecision {
  const recent = history.crashes.filter((time) => now - time < BREAKER_WINDOW_SECONDS);
  const last = recent.at(-1);
  if (last !== undefined && recent.length >= BREAKER_CRASHES && now - last < BREAKER_OPEN_SECONDS) {
    return { start: false, retryAfterSeconds: Math.ceil(BREAKER_OPEN_SECONDS - (now - last)) };
  }
  if (recent.length < 2) return { start: true, delaySeconds: 0 };
  const delay = Math.min(FIRST_DELAY_SECONDS * 2 ** (recent.length - 2), LONGEST_DELAY_SECONDS) * (1 + random / 4);
  return { start: true, delaySeconds: Math.max(0, delay - (now - (last ?? now))) };
}

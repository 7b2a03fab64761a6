export type StartDecision = { start: true; delaySeconds: number } | { start: false; retryAfterSeconds: number };

/** This many crashes within the window open the circuit breaker. */
const BREAKER_CRASHES = 5;
const BREAKER_WINDOW_SECONDS = 180;
/** How long the open breaker refuses a start, counted from the last crash. */
const BREAKER_OPEN_SECONDS = 30;
const FIRST_DELAY_SECONDS = 0.25;
const LONGEST_DELAY_SECONDS = 8;

/**
 * Whether a worker may start now, and after which delay. The first restart is immediate, because most crashes are single.
 * Then the delay doubles, with up to 25 % jitter (`random` from 0 to 1), so that several gateways do not restart in step.
 * @param crashes when workers died before they had a model, oldest first, in seconds of the clock that gives `now`.
 */
export function decideStart(crashes: readonly number[], now: number, random: number): StartDecision {
  const recent = crashes.filter((time) => now - time < BREAKER_WINDOW_SECONDS);
  const last = recent.at(-1) ?? now;
  if (recent.length >= BREAKER_CRASHES && now - last < BREAKER_OPEN_SECONDS) {
    return { start: false, retryAfterSeconds: Math.ceil(BREAKER_OPEN_SECONDS - (now - last)) };
  }
  if (recent.length < 2) return { start: true, delaySeconds: 0 };
  const delay = Math.min(FIRST_DELAY_SECONDS * 2 ** (recent.length - 2), LONGEST_DELAY_SECONDS) * (1 + random / 4);
  return { start: true, delaySeconds: Math.max(0, delay - (now - last)) };
}

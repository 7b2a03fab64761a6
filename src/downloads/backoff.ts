export interface Backoff {
  /** Consecutive failures without a single byte after which the download of a file fails. */
  tries: number;
  firstMs: number;
  longestMs: number;
  /** A transfer without a byte for this long has failed. There is no limit for the whole transfer. */
  stallMs: number;
}

/** As in the hub's own clients: five tries, with pauses from one to eight seconds. */
export const defaultBackoff: Backoff = { tries: 5, firstMs: 1_000, longestMs: 8_000, stallMs: 30_000 };

/** If a server asks for a longer pause than this, in seconds, the download fails instead of waiting. */
const LONGEST_RETRY_AFTER_SECONDS = 300;

/**
 * The pause before the next try, in milliseconds; null: do not retry. `failures` counts consecutive failures, including
 * this one; `retryAfterSeconds` is the pause that the server asked for; `random` is 0 to 1.
 */
export function pauseBefore(
  failures: number,
  retryAfterSeconds: number | null,
  { tries, firstMs, longestMs }: Backoff,
  random: number,
): number | null {
  if (failures >= tries) return null;
  if (retryAfterSeconds !== null)
    return retryAfterSeconds > LONGEST_RETRY_AFTER_SECONDS ? null : retryAfterSeconds * 1000;
  return Math.min(longestMs, firstMs * 2 ** (failures - 1)) * (0.5 + random / 2);
}

/**
 * The pause that a 429 or 503 asks for, in seconds: from the hub's `RateLimit: "resolvers";r=0;t=123`, else from
 * `Retry-After`, as seconds or as a date.
 */
export function retryAfterOf(headers: Record<string, string | string[] | undefined>, now: number): number | null {
  const limit = /(?:^|;)\s*t=(\d+)/.exec(String(headers.ratelimit ?? ''))?.[1];
  if (limit !== undefined) return Number(limit) + 1;
  const after = headers['retry-after'];
  if (typeof after !== 'string') return null;
  if (/^\d+$/.test(after.trim())) return Number(after);
  const date = Date.parse(after);
  return Number.isNaN(date) ? null : Math.max(0, Math.ceil((date - now) / 1000));
}

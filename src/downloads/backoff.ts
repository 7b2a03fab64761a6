/** Of the hub's own clients: five tries, from one second to eight. */
export interface Backoff {
  /** Failures in a row, without a byte in between, after which a file is given up. */
  tries: number;
  firstMs: number;
  longestMs: number;
  /** No byte for so long is a failure. The whole may take as long as it takes. */
  stallMs: number;
}

export const defaultBackoff: Backoff = { tries: 5, firstMs: 1_000, longestMs: 8_000, stallMs: 30_000 };

/** A server that asks for a longer pause than this, in seconds, gets no further request now. */
const LONGEST_ASKED_SECONDS = 300;

/**
 * How long to wait before the next try, in milliseconds; null: no further try.
 *
 * @param failures in a row, this one included.
 * @param askedSeconds what the server asked for.
 * @param random 0 to 1.
 */
export function pauseBefore(
  failures: number,
  askedSeconds: number | null,
  { tries, firstMs, longestMs }: Backoff,
  random: number,
): number | null {
  if (failures >= tries) return null;
  if (askedSeconds !== null) return askedSeconds > LONGEST_ASKED_SECONDS ? null : askedSeconds * 1000;
  return Math.min(longestMs, firstMs * 2 ** (failures - 1)) * (0.5 + random / 2);
}

/**
 * The pause that a 429 or 503 asks for, in seconds: the hub's `RateLimit: "resolvers";r=0;t=123`, else `Retry-After` as
 * seconds or date.
 */
export function askedPause(headers: Record<string, string | string[] | undefined>, now: number): number | null {
  const limit = /(?:^|;)\s*t=(\d+)/.exec(String(headers.ratelimit ?? ''))?.[1];
  if (limit !== undefined) return Number(limit) + 1;
  const after = headers['retry-after'];
  if (typeof after !== 'string') return null;
  if (/^\d+$/.test(after.trim())) return Number(after);
  const date = Date.parse(after);
  return Number.isNaN(date) ? null : Math.max(0, Math.ceil((date - now) / 1000));
}

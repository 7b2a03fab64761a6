import { nearest } from '../config/nearest.ts';

const PREFIX = '/v1/models/';
const SUFFIX = '/download';
/** A longer path is not a typing error, and the comparison would take long. */
const MAX_COMPARED_LENGTH = 100;

/**
 * The canonical path of a request URL, for the router and for the guard, so that no other spelling gets past the guard.
 * Other spellings are accepted instead of redirected, because most API clients do not follow redirects.
 */
export function normalisePath(url: string): string {
  // Proxies send the whole URL; the Host header is checked separately.
  const [, given = '', query = ''] = /^(?:https?:\/\/[^/?#]*)?([^?#]*)(.*)$/is.exec(url) ?? [];
  // `//`, `/v1/v1` and a final slash appear when a base URL and a path are joined.
  const path = given.replace(/\/{2,}/g, '/').replace(/^(?:\/v1)+(?=\/|$)/, '/v1');
  const trimmed = path.replace(/\/$/, '') || '/';
  if (!trimmed.startsWith(PREFIX)) return trimmed + query;
  // A hub name has a slash, which the SDKs send as `%2F` and people type as `/`; the router needs one path segment.
  const rest = trimmed.slice(PREFIX.length);
  const suffix = rest.endsWith(SUFFIX) && rest.length > SUFFIX.length ? SUFFIX : '';
  const id = rest.slice(0, rest.length - suffix.length);
  return PREFIX + encodeURIComponent(decoded(id)) + suffix + query;
}

/**
 * Suggests a known path for an unknown one: a path with the same end, which a wrong base URL produces (without `/v1`, or with
 * a whole path in it), else the most similar spelling. `known` are templates such as `/v1/models/{model}`.
 */
export function suggestPath(path: string, known: readonly string[]): string | undefined {
  if (path.length > MAX_COMPARED_LENGTH) return undefined;
  const given = parts(path.toLowerCase());
  const sameEnd = known
    .filter((template) => endsLike(given, parts(template)))
    .sort((a, b) => parts(b).length - parts(a).length);
  return sameEnd[0] ?? nearest(path, known);
}

/** Without `v1`, which is often missing or repeated. */
function parts(path: string): string[] {
  return path.split('/').filter((part) => part !== '' && part !== 'v1');
}

function endsLike(given: readonly string[], wanted: readonly string[]): boolean {
  const end = given.slice(-wanted.length);
  return end.length === wanted.length && wanted.every((part, at) => part.startsWith('{') || part === end[at]);
}

/** An id with a malformed escape stays as it is and is then an unknown model, instead of a server error. */
function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

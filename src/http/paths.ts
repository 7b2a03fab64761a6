import { nearest } from '../config/nearest.ts';

const PREFIX = '/v1/models/';
const SUFFIX = '/download';
/** Longer ones are no slip of the hand, and take time to compare. */
const LONGEST_MISTAKE = 100;

/**
 * The path that is meant, as the router knows it. The guard sees the same, so that nothing gets by under another spelling.
 * Nothing is redirected: most clients of an API do not follow.
 *
 * - `//`, `/v1/v1` and a slash at the end come of a base URL and a path that were joined; each is taken as one.
 * - Proxies send the whole URL; the Host header says where to.
 * - A model id becomes one part of the path: hub names have a slash, which the SDKs send as `%2F` and people type as it is.
 *
 * @param url the request's path with its query.
 */
export function normalisePath(url: string): string {
  const [, given = '', query = ''] = /^(?:https?:\/\/[^/?#]*)?([^?#]*)(.*)$/is.exec(url) ?? [];
  const path = given.replace(/\/{2,}/g, '/').replace(/^(?:\/v1)+(?=\/|$)/, '/v1');
  const trimmed = path.replace(/\/$/, '') || '/';
  if (!trimmed.startsWith(PREFIX)) return trimmed + query;
  const rest = trimmed.slice(PREFIX.length);
  const suffix = rest.endsWith(SUFFIX) && rest.length > SUFFIX.length ? SUFFIX : '';
  const id = rest.slice(0, rest.length - suffix.length);
  return PREFIX + encodeURIComponent(decoded(id)) + suffix + query;
}

/**
 * The path that an unknown one was probably meant to be: the same end behind another beginning (a base URL without `/v1`, or
 * with a whole path in it), else the one that is spelled much like it. `known` are templates such as `/v1/models/{model}`.
 */
export function likelyPath(path: string, known: readonly string[]): string | undefined {
  if (path.length > LONGEST_MISTAKE) return undefined;
  const given = parts(path.toLowerCase());
  const sameEnd = known
    .filter((template) => endsLike(given, parts(template)))
    .sort((a, b) => parts(b).length - parts(a).length);
  return sameEnd[0] ?? nearest(path, known);
}

/** The version says nothing about what is meant. */
function parts(path: string): string[] {
  return path.split('/').filter((part) => part !== '' && part !== 'v1');
}

function endsLike(given: readonly string[], wanted: readonly string[]): boolean {
  const end = given.slice(-wanted.length);
  return end.length === wanted.length && wanted.every((part, at) => part.startsWith('{') || part === end[at]);
}

/** An id with a malformed escape is an unknown id, not a broken request. */
function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

const PREFIX = '/v1/models/';
const SUFFIX = '/download';

/**
 * Makes a model id one part of the path: hub names have a slash, which the SDKs send as `%2F` and people type as it is.
 * Trailing slashes go away for every path, so that no redirect is needed. `url` is the path with its query.
 */
export function normalisePath(url: string): string {
  const [, path = '', query = ''] = /^([^?#]*)(.*)$/s.exec(url) ?? [];
  const trimmed = path.replace(/\/+$/, '') || '/';
  if (!trimmed.startsWith(PREFIX)) return trimmed + query;
  const rest = trimmed.slice(PREFIX.length);
  const suffix = rest.endsWith(SUFFIX) && rest.length > SUFFIX.length ? SUFFIX : '';
  const id = rest.slice(0, rest.length - suffix.length);
  return PREFIX + encodeURIComponent(decoded(id)) + suffix + query;
}

/** An id with a malformed escape is an unknown id, not a broken request. */
function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

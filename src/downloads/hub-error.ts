import { HTTPError, RequestError } from 'got';
import { errnoWords } from '../disk-error.ts';
import { AsrproError, type ErrorCode } from '../errors.ts';
import { certificateWords, connectionWords } from '../network/connection-words.ts';
import { retryAfterOf } from './backoff.ts';
import type { HubClient } from './hub-client.ts';

/** A failed request to the hub, and whether a retry can help. */
export interface HubFailure {
  error: AsrproError;
  /** Retry, after the pause that the server asked for, if any. */
  retry: boolean;
  retryAfterSeconds: number | null;
}

const RETRIED = new Set([408, 429, 500, 502, 503, 504]);

/**
 * Describes a failed request to the hub. `what` is the file or the repository. Errors of the local disk already have their
 * type (disk-error.ts) and are passed through.
 */
export function hubFailure(thrown: unknown, what: string, client?: HubClient): HubFailure {
  const known = thrown instanceof AsrproError ? thrown : (thrown as Error | undefined)?.cause;
  if (known instanceof AsrproError)
    return { error: known, retry: known.code === 'hub_unreachable', retryAfterSeconds: null };
  if (thrown instanceof HTTPError) return statusFailure(thrown, what, client?.refusedToken ?? null);
  if (isCut(thrown)) return { error: cutShort(what, thrown), retry: true, retryAfterSeconds: null };
  if (thrown instanceof RequestError) {
    const error = connectionError(thrown);
    return { error, retry: error.kind.retryable, retryAfterSeconds: null };
  }
  const error = new AsrproError('download_failed', `The download of '${what}' failed.`, { cause: thrown });
  return { error, retry: false, retryAfterSeconds: null };
}

const KEPT = 'Try again; asrpro keeps what has arrived.';

export function stalled(what: string, seconds: number): AsrproError {
  return new AsrproError('hub_unreachable', `The hub sent no more of '${what}' for ${seconds} s.`, {
    hint: KEPT,
  });
}

/** The connection ended before the content did. */
export function cutShort(what: string, cause?: unknown): AsrproError {
  return new AsrproError('hub_unreachable', `The connection to the model hub was cut in the middle of '${what}'.`, {
    hint: KEPT,
    cause,
  });
}

/** The server sent a web page where data was requested. */
export function webPage(what: string, host: string): AsrproError {
  const message = `${host} sent a web page instead of '${what}'.`;
  return new AsrproError('hub_unreachable', message, {
    hint: 'The network may require a sign-in in a browser first, or a proxy may block the model hub.',
  });
}

/** The server sent an answer of another length, such as the error text of a proxy. */
export function otherAnswer(what: string, host: string, bytes: number): AsrproError {
  return new AsrproError('hub_unreachable', `${host} sent ${bytes} bytes of something else instead of '${what}'.`, {
    hint: 'A proxy may block the model hub. asrpro keeps what has arrived.',
  });
}

/** Codes of Node's streams for a connection or compressed data that ends early. */
function isCut(thrown: unknown): boolean {
  return /^(ERR_STREAM_PREMATURE_CLOSE|Z_[A-Z]+|ECONNRESET|ABORT_ERR)$/.test(
    (thrown as NodeJS.ErrnoException)?.code ?? '',
  );
}

function connectionError(thrown: RequestError): AsrproError {
  const code = thrown.code ?? '';
  const address = thrown.options?.url?.toString();
  const where = address ? ` (${new URL(address).host})` : '';
  if (code === 'EMFILE' || code === 'ENFILE') {
    const message = `No connection can be opened: ${errnoWords(thrown)}.`;
    return new AsrproError('folder_unusable', message, {
      hint: 'Raise the limit of open files (`ulimit -n`).',
      cause: thrown,
    });
  }
  const why = certificateWords(code);
  if (why !== null) {
    const trust = "Set SSL_CERT_FILE to the file with your network's certificates, or check `download.endpoint`.";
    return new AsrproError('hub_untrusted', `The certificate of the model hub${where} ${why} (${code}).`, {
      hint: /EXPIRED|YET_VALID/.test(code) ? 'Check the date and time of this machine.' : trust,
      cause: thrown,
    });
  }
  return new AsrproError('hub_unreachable', `The model hub${where} cannot be reached: ${connectionWords(code)}.`, {
    hint: 'Check the network, the proxy and `download.endpoint`.',
    cause: thrown,
  });
}

function statusFailure(thrown: HTTPError, what: string, refused: string | null): HubFailure {
  const { statusCode: status, headers } = thrown.response;
  const retryAfterSeconds = retryAfterOf(headers, Date.now());
  const [code, message, hint] = meaning(status, String(headers['x-error-code'] ?? ''), what);
  const token = refused === null ? '' : ` The hub has refused the token in ${refused}.`;
  const error = new AsrproError(code, `${message}${token}`, { hint, cause: thrown });
  return { error, retry: RETRIED.has(status), retryAfterSeconds };
}

function meaning(status: number, code: string, what: string): [ErrorCode, string, string] {
  if (code === 'GatedRepo') {
    return [
      'hub_gated',
      `'${what}' requires that you accept its terms.`,
      'Accept them on its page at the hub, and set HF_TOKEN to a token of that account.',
    ];
  }
  if (code === 'RevisionNotFound' || code === 'EntryNotFound') {
    const hint = 'The repository has changed; a newer version of asrpro may have the new revision.';
    return ['hub_not_found', `The hub no longer has '${what}' in the pinned revision.`, hint];
  }
  if (status === 404 || status === 401) {
    const hint = 'Check its name and, if it is private, set HF_TOKEN to a valid token.';
    return ['hub_not_found', `The hub has no '${what}', or it needs a token.`, hint];
  }
  if (status === 403) return ['hub_forbidden', `The hub denies access to '${what}'.`, 'Use another HF_TOKEN.'];
  if (status === 407)
    return ['proxy_failed', 'The proxy asks for a user name and password.', 'Set them in HTTPS_PROXY.'];
  if (status === 429)
    return ['hub_rate_limited', 'The hub limits the rate of requests.', 'Try again in a few minutes.'];
  if (status >= 500) return ['hub_unreachable', `The hub answered '${what}' with ${status}.`, 'Try again later.'];
  return ['download_failed', `The hub answered '${what}' with ${status}.`, 'The log has the details.'];
}

import { HTTPError, RequestError } from 'got';
import { AsrproError, type ErrorCode } from '../errors.ts';
import { askedPause } from './backoff.ts';

/** What went wrong with a request, and whether another try can help. */
export interface HubFailure {
  error: AsrproError;
  /** Try again, after the pause that the server asked for, if any. */
  again: boolean;
  askedSeconds: number | null;
}

const AGAIN = new Set([408, 429, 500, 502, 503, 504]);

/** A failed request to the hub, in words for the person who wanted the model. `what` is the file, or the repository. */
export function hubFailure(thrown: unknown, what: string): HubFailure {
  if (thrown instanceof AsrproError) {
    return { error: thrown, again: thrown.code === 'hub_unreachable', askedSeconds: null };
  }
  if (thrown instanceof HTTPError) return statusFailure(thrown, what);
  const code = (thrown as NodeJS.ErrnoException).code ?? '';
  if (['ENOSPC', 'EDQUOT', 'EFBIG'].includes(code)) return final(diskFull(what, thrown));
  if (thrown instanceof RequestError || /^(E[A-Z]+|ERR_STREAM_PREMATURE_CLOSE|ABORT_ERR)$/.test(code)) {
    const host = (thrown as RequestError).options?.url?.toString();
    const where = host ? ` (${new URL(host).host})` : '';
    const error = new AsrproError(
      'hub_unreachable',
      `The model hub${where} cannot be reached: ${code || 'no answer'}.`,
      {
        hint: 'Check the network, the proxy and `download.endpoint`.',
        cause: thrown,
      },
    );
    return { error, again: true, askedSeconds: null };
  }
  return final(new AsrproError('download_failed', `The download of '${what}' failed.`, { cause: thrown }));
}

export function stalled(what: string, seconds: number): AsrproError {
  return new AsrproError('hub_unreachable', `The hub sent nothing of '${what}' for ${seconds} s.`, {
    hint: 'Try again; what has arrived is kept.',
  });
}

function final(error: AsrproError): HubFailure {
  return { error, again: false, askedSeconds: null };
}

function diskFull(what: string, cause: unknown): AsrproError {
  return new AsrproError('disk_full', `There was no disk space left for '${what}'.`, {
    hint: 'Free some space, or set `models.directory` to another disk.',
    cause,
  });
}

function statusFailure(thrown: HTTPError, what: string): HubFailure {
  const { statusCode: status, headers } = thrown.response;
  const askedSeconds = askedPause(headers, Date.now());
  const [code, message, hint] = meaning(status, String(headers['x-error-code'] ?? ''), what);
  const error = new AsrproError(code, message, { hint, cause: thrown });
  return { error, again: AGAIN.has(status), askedSeconds };
}

function meaning(status: number, code: string, what: string): [ErrorCode, string, string] {
  if (code === 'GatedRepo') {
    return [
      'hub_gated',
      `The terms of '${what}' have to be accepted.`,
      'Accept them on its page at the hub and set HF_TOKEN.',
    ];
  }
  if (code === 'RevisionNotFound' || code === 'EntryNotFound') {
    const hint = 'The repository has changed; a newer version of asrpro may know it.';
    return ['hub_not_found', `The hub has no '${what}' in the pinned revision any more.`, hint];
  }
  if (status === 404 || status === 401) {
    const hint = 'Check its name and, if it is private, set HF_TOKEN.';
    return ['hub_not_found', `The hub has no '${what}', or it needs a token.`, hint];
  }
  if (status === 403) return ['hub_forbidden', `The token may not read '${what}'.`, 'Use another HF_TOKEN.'];
  if (status === 429) return ['hub_rate_limited', 'The hub asks to wait.', 'Try again in a few minutes.'];
  if (status >= 500) return ['hub_unreachable', `The hub answered '${what}' with ${status}.`, 'Try again later.'];
  return ['download_failed', `The hub answered '${what}' with ${status}.`, 'The log has the details.'];
}

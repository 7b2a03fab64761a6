import { z } from 'zod';
import { type AsrproError, asAsrproError, AsrproError as Failure } from '../errors.ts';

/** Body of every error. All four keys are always there. */
export const errorEnvelope = z
  .strictObject({
    error: z.strictObject({
      message: z.string().describe('What is wrong and what to do, for people.'),
      type: z.enum(['invalid_request_error', 'service_unavailable_error', 'server_error']),
      param: z.string().nullable().describe('The field that is at fault.'),
      code: z.string().nullable().describe('For programs; all codes are in docs/errors.md.'),
    }),
  })
  .meta({ id: 'Error' });
export type ErrorEnvelope = z.infer<typeof errorEnvelope>;

/** Clients ignore a Retry-After above 60 s, or sleep through all of it. */
const LONGEST_RETRY_SECONDS = 60;
const DEFAULT_RETRY_SECONDS = 2;

/** The error as clients see it: nothing of the cause, no path, no stack. */
export function envelope(error: AsrproError): ErrorEnvelope {
  const { kind } = error;
  return {
    error: {
      message: error.hint === null ? error.message : `${error.message} ${error.hint}`,
      type: kind.type,
      param: error.param,
      code: kind.code === null ? null : error.code,
    },
  };
}

/** Headers that tell the SDKs whether and when to try again. */
export function retryHeaders(error: AsrproError): Record<string, string> {
  const headers: Record<string, string> = error.kind.retryable ? {} : { 'x-should-retry': 'false' };
  if (error.kind.status === 503) {
    const seconds = Math.ceil(error.retryAfterSeconds ?? DEFAULT_RETRY_SECONDS);
    headers['retry-after'] = String(Math.min(LONGEST_RETRY_SECONDS, Math.max(1, seconds)));
  }
  return headers;
}

/** Anything thrown while a request was handled, the framework's and the file system's own errors included. */
export function requestError(error: unknown): AsrproError {
  const code = (error as { code?: unknown } | null)?.code;
  if (typeof code !== 'string' || error instanceof Failure) return asAsrproError(error);
  if (code.startsWith('FST_ERR_CTP')) {
    return new Failure('unsupported_content_type', 'The content type of the request is not one this call takes.');
  }
  return asAsrproError(error);
}

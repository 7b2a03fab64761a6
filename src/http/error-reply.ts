import { z } from 'zod';
import { AsrproError, asAsrproError } from '../errors.ts';

/** Body of every error. All four keys are always present. */
export const errorEnvelope = z
  .strictObject({
    error: z.strictObject({
      message: z.string().describe('For people: what is wrong and what to do.'),
      type: z.enum(['invalid_request_error', 'service_unavailable_error', 'server_error']),
      param: z.string().nullable().describe('The invalid field.'),
      code: z.string().nullable().describe('For programs; docs/errors.md lists all codes.'),
    }),
  })
  .meta({ id: 'Error' });
export type ErrorEnvelope = z.infer<typeof errorEnvelope>;

const DEFAULT_RETRY_SECONDS = 2;

/** The error as clients see it, without its cause, paths or stack. */
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

/** Headers that tell the SDKs whether and when to retry. */
export function retryHeaders(error: AsrproError): Record<string, string> {
  const headers: Record<string, string> = error.kind.retryable ? {} : { 'x-should-retry': 'false' };
  if (error.kind.status === 503) {
    headers['retry-after'] = String(error.retryAfterSeconds ?? DEFAULT_RETRY_SECONDS);
  }
  return headers;
}

/** Turns anything thrown by a handler, fastify or the file system into an AsrproError. */
export function requestError(error: unknown): AsrproError {
  const code = (error as { code?: unknown } | null)?.code;
  // Fastify's own check of the content type.
  if (typeof code === 'string' && code.startsWith('FST_ERR_CTP')) {
    return new AsrproError('unsupported_content_type', 'This call does not accept the content type of the request.');
  }
  return asAsrproError(error);
}

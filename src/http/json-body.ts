import type { IncomingMessage } from 'node:http';
import type { z } from 'zod';
import { withoutMark } from '../config/foreign-file.ts';
import { AsrproError } from '../errors.ts';
import { readBody } from './body.ts';
import { invalidInput } from './invalid-input.ts';

const MAX_BYTES = 64 * 1024;
/** A body of at most 64 KiB arrives at once; a client that takes longer than 10 s only holds a connection. */
const PACE = { windowMs: 10_000, minBytes: MAX_BYTES };

/** Reads, parses and validates a small JSON body. Throws `unsupported_content_type`, `invalid_body` or a field's error. */
export async function readJson<T extends z.ZodType>(
  request: IncomingMessage,
  schema: T,
  pace = PACE,
): Promise<z.output<T>> {
  const type = (request.headers['content-type'] ?? '').split(';')[0]!.trim().toLowerCase();
  if (type !== 'application/json') {
    throw new AsrproError('unsupported_content_type', 'Send the body as JSON, with `Content-Type: application/json`.');
  }
  const chunks: Buffer[] = [];
  let bytes = 0;
  await readBody(request, { pace, broken }, (chunk) => {
    bytes += chunk.length;
    if (bytes > MAX_BYTES) throw new AsrproError('invalid_body', `The JSON body is larger than ${MAX_BYTES} bytes.`);
    chunks.push(chunk);
    return undefined;
  });
  const parsed = schema.safeParse(parse(Buffer.concat(chunks).toString('utf8')), { reportInput: true });
  if (parsed.success) return parsed.data;
  throw invalidInput(parsed.error);
}

function broken(reason: string): AsrproError {
  return new AsrproError('invalid_body', `The JSON body cannot be read: ${reason}.`);
}

function parse(text: string): unknown {
  try {
    return JSON.parse(withoutMark(text));
  } catch {
    throw new AsrproError('invalid_body', 'The body is not valid JSON.');
  }
}

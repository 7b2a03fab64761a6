import type { IncomingMessage } from 'node:http';
import type { z } from 'zod';
import { AsrproError } from '../errors.ts';
import { mistakeOf } from './mistake.ts';

const MAX_BYTES = 64 * 1024;

/** Reads, parses and checks a small JSON body. Throws `unsupported_content_type`, `invalid_body` and the field's error. */
export async function readJson<T extends z.ZodType>(request: IncomingMessage, schema: T): Promise<z.output<T>> {
  const type = (request.headers['content-type'] ?? '').split(';')[0]!.trim().toLowerCase();
  if (type !== 'application/json') {
    throw new AsrproError('unsupported_content_type', 'Send the body as JSON, with `Content-Type: application/json`.');
  }
  const parsed = schema.safeParse(parse(await readText(request)), { reportInput: true });
  if (parsed.success) return parsed.data;
  throw mistakeOf(parsed.error);
}

async function readText(request: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  return await new Promise((resolve, reject) => {
    const fail = (error: AsrproError): void => {
      request.off('data', take);
      reject(error);
    };
    const take = (chunk: Buffer): void => {
      bytes += chunk.length;
      chunks.push(chunk);
      if (bytes > MAX_BYTES) fail(new AsrproError('invalid_body', `The JSON body is larger than ${MAX_BYTES} bytes.`));
    };
    request.on('data', take);
    request.once('end', () => resolve(Buffer.concat(chunks).toString('utf8')));
    request.once('close', () => fail(new AsrproError('client_closed', 'The client went away.')));
    request.on('error', () => undefined);
  });
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    throw new AsrproError('invalid_body', 'The body is not valid JSON.');
  }
}

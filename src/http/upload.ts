import type { IncomingMessage } from 'node:http';
import { Busboy, type BusboyFileStream, type BusboyHeaders, type BusboyInstance } from '@fastify/busboy';
import { AsrproError } from '../errors.ts';
import { drainBody } from './drain.ts';
import { type SpooledFile, spool } from './spool.ts';

/** Longest text field in bytes; what follows is cut off and reported. A prompt that a model can use has about 1 kB. */
const MAX_FIELD_BYTES = 256 * 1024;
const MAX_FIELDS = 200;
/** An upload that stands still for so long is given up. */
const STALLED_MS = 60_000;

export interface TextField {
  name: string;
  value: string;
  /** It was longer than a field may be. */
  truncated: boolean;
}

/** A multipart body, read to its end. */
export interface Upload {
  fields: TextField[];
  /** The part `file`; null when there is none. */
  file: { path: string; size: number } | null;
  /** Names of further parts that were sent as files. */
  otherFiles: string[];
  /** Removes the file. */
  discard(): Promise<void>;
}

export interface UploadLimits {
  directory: string;
  /** Of the whole body. */
  maxBytes: number;
}

/**
 * Reads a multipart body straight from the socket: text fields into memory, the part `file` into a private file, in any
 * order. `onAccepted` is called once nothing in the headers speaks against the body. Throws `unsupported_content_type`, `invalid_multipart`, `file_too_large`, `invalid_value` (two files),
 * `client_closed`; then nothing is left on disk, and the rest of the body is read and dropped.
 */
export async function receiveUpload(
  request: IncomingMessage,
  limits: UploadLimits,
  onAccepted: () => void,
): Promise<Upload> {
  checkSize(Number(request.headers['content-length'] ?? 0), limits.maxBytes);
  const parser = createParser(request.headers);
  onAccepted();
  const fields: TextField[] = [];
  const otherFiles: string[] = [];
  let spooled: SpooledFile | null = null;
  let second: AsrproError | null = null;

  parser.on('field', (name, value, _nameTruncated, truncated) => {
    fields.push({ name: String(name), value, truncated });
  });
  parser.on('file', (name, stream: BusboyFileStream) => {
    stream.on('error', () => undefined);
    if (baseName(String(name)) === 'file' && spooled === null) {
      spooled = spool(stream, limits.directory);
      return;
    }
    if (baseName(String(name)) === 'file') {
      second ??= new AsrproError('invalid_value', "Only one 'file' can be sent in a request.", { param: 'file' });
    } else otherFiles.push(String(name));
    stream.resume();
  });

  const discard = async (): Promise<void> => await spooled?.discard();
  try {
    await readAll(request, parser, limits.maxBytes);
    if (second !== null) throw second;
    // The compiler does not see the assignment in the callback.
    const written = spooled as SpooledFile | null;
    const file = written === null ? null : { path: written.path, size: await written.written };
    return { fields, file, otherFiles, discard };
  } catch (error) {
    drainBody(request);
    await discard();
    throw error;
  }
}

/** `a`, `a[]`, `a[0]` and `a[b]` are one field. */
export function baseName(name: string): string {
  return name.split('[')[0]!;
}

function createParser(headers: IncomingMessage['headers']): BusboyInstance {
  const type = headers['content-type'] ?? '';
  if (!/^multipart\/form-data\b/i.test(type.trim())) {
    throw new AsrproError('unsupported_content_type', 'Send the audio as `multipart/form-data`, in the field `file`.');
  }
  try {
    return new Busboy({
      headers: headers as BusboyHeaders,
      // A few clients label every part as octet-stream; only of `file` does that make a file.
      isPartAFile: (name, type, fileName) =>
        fileName !== undefined || (type === 'application/octet-stream' && baseName(name ?? '') === 'file'),
      limits: { fieldSize: MAX_FIELD_BYTES, fields: MAX_FIELDS, parts: 2 * MAX_FIELDS },
    });
  } catch {
    throw malformed('the boundary is missing');
  }
}

/** Resolves at the end of the body. Never destroys the request: an answer has to go out on its socket. */
function readAll(request: IncomingMessage, parser: BusboyInstance, maxBytes: number): Promise<void> {
  let bytes = 0;
  return new Promise<void>((resolve, reject) => {
    const count = (chunk: Buffer): void => {
      bytes += chunk.length;
      if (bytes > maxBytes) fail(tooLarge(maxBytes));
    };
    // A request that was received whole closes as well, often before the parser is done with it.
    const closed = (): void => {
      if (!request.complete) fail(new AsrproError('client_closed', 'The client went away during the upload.'));
    };
    const leave = (): void => {
      request.setTimeout(0);
      request.off('data', count);
      request.off('close', closed);
    };
    const fail = (error: AsrproError): void => {
      leave();
      request.unpipe(parser);
      reject(error);
    };
    request.on('error', () => undefined);
    request.on('data', count);
    request.once('close', closed);
    request.setTimeout(STALLED_MS, () => fail(malformed('no more data arrives')));
    parser.on('error', () => fail(malformed('it ends too early or is not well-formed')));
    for (const event of ['fieldsLimit', 'partsLimit'] as const)
      parser.on(event, () => fail(malformed('too many parts')));
    parser.on('finish', () => {
      leave();
      resolve();
    });
    request.pipe(parser);
  });
}

function checkSize(contentLength: number, maxBytes: number): void {
  if (contentLength > maxBytes) throw tooLarge(maxBytes);
}

function tooLarge(maxBytes: number): AsrproError {
  return new AsrproError('file_too_large', `Maximum content size limit (${maxBytes}) exceeded.`, {
    param: 'file',
    hint: 'Split the audio, or raise `server.maxUploadBytes`.',
  });
}

/** The prefix is OpenAI's; clients match on it. */
function malformed(reason: string): AsrproError {
  return new AsrproError('invalid_multipart', `Could not parse multipart form: ${reason}.`);
}

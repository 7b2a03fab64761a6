import type { IncomingMessage } from 'node:http';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { Busboy, type BusboyFileStream, type BusboyHeaders, type BusboyInstance } from '@fastify/busboy';
import { AsrproError } from '../errors.ts';
import { type Pace, readBody } from './body.ts';
import { type SpooledFile, spool } from './spool.ts';

/** Maximum size of a text field; a longer one is truncated and reported. A prompt that a model can use has about 1 kB. */
const MAX_FIELD_BYTES = 256 * 1024;
const MAX_FIELDS = 2000;
/** Maximum length of all text fields together, in characters, because they are kept in memory. */
const MAX_TEXT = 1024 * 1024;
/** The parser consumes every chunk at once, so a backlog this large means that it is stuck. */
const MAX_BACKLOG = 1024 * 1024;
const CUT_SHORT = 'it ends too early or is not well-formed';

export interface TextField {
  name: string;
  value: string;
  /** The value was longer than MAX_FIELD_BYTES. */
  truncated: boolean;
}

/** A complete multipart body. */
export interface Upload {
  fields: TextField[];
  /** The part `file`; null when there is none. */
  file: { path: string; size: number } | null;
  /** Names of other parts that were sent as files. */
  otherFiles: string[];
  /** Removes the file. */
  discard(): Promise<void>;
}

export interface UploadLimits {
  directory: string;
  /** Maximum size of the whole body. */
  maxBytes: number;
  pace: Pace;
  /** Ends the upload with its reason, which the client gets: a server that stops would refuse the complete upload. */
  closing?: AbortSignal | undefined;
}

/**
 * Reads text fields into memory and the part `file` into a private file. Calls `onAccepted` when the headers are valid, before
 * it reads the body. Throws as soon as possible, and then leaves nothing on disk: `unsupported_content_type`, `disk_full`,
 * `invalid_multipart`, `file_too_large`, `invalid_value` (two files), `client_closed`, `spool_failed`.
 */
export async function receiveUpload(
  request: IncomingMessage,
  { directory, maxBytes, pace, closing }: UploadLimits,
  onAccepted: () => void,
): Promise<Upload> {
  checkSize(Number(request.headers['content-length'] ?? 0), maxBytes);
  const parser = createParser(request.headers);
  onAccepted();
  const failure = new AbortController();
  const parts = collectParts(parser, directory, (error) => failure.abort(error));
  const onClosing = (): void => failure.abort(closing?.reason);
  closing?.addEventListener('abort', onClosing);
  let bytes = 0;
  try {
    await readBody(request, { pace, broken: malformed, signal: failure.signal }, (chunk) => {
      bytes += chunk.length;
      checkSize(bytes, maxBytes);
      if (!parser.write(chunk)) throw malformed(CUT_SHORT);
      return parts.drained();
    });
    parser.end();
    // The parser emits `finish` or `error` before the next turn of the event loop. For some malformed ends it emits
    // neither, so waiting for one of them could take for ever.
    await nextTurn();
    failure.signal.throwIfAborted();
    return await parts.upload();
  } catch (error) {
    await parts.discard();
    throw error;
  } finally {
    closing?.removeEventListener('abort', onClosing);
  }
}

/** Collects the parser's fields and files, and calls `fail` for every error. */
function collectParts(parser: BusboyInstance, directory: string, fail: (error: AsrproError) => void) {
  const fields: TextField[] = [];
  const otherFiles: string[] = [];
  let file: SpooledFile | undefined;
  let text = 0;
  let complete = false;

  parser.on('field', (name, value, _nameTruncated, truncated) => {
    fields.push({ name: String(name), value, truncated });
    text += value.length;
    if (text > MAX_TEXT) fail(malformed('its text fields are too long'));
  });
  parser.on('file', (name, stream: BusboyFileStream) => {
    // The parser emits the same error, which is handled below.
    stream.on('error', () => undefined);
    const isOurs = baseName(String(name)) === 'file';
    if (isOurs && file === undefined) {
      file = spool(directory, fail);
      stream.on('data', file.write);
      return;
    }
    stream.resume();
    if (!isOurs) otherFiles.push(String(name));
    else fail(new AsrproError('invalid_value', "Only one 'file' can be sent in a request.", { param: 'file' }));
  });
  parser.on('error', () => fail(malformed(CUT_SHORT)));
  for (const event of ['fieldsLimit', 'partsLimit'] as const) parser.on(event, () => fail(malformed('too many parts')));
  parser.on('finish', () => {
    complete = true;
  });

  const discard = async (): Promise<void> => await file?.discard();
  return {
    drained: () => file?.drained(),
    discard,
    async upload(): Promise<Upload> {
      if (!complete) throw malformed(CUT_SHORT);
      return { fields, otherFiles, file: file ? { path: file.path, size: await file.close() } : null, discard };
    },
  };
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
  const coding = headers['content-encoding'] ?? 'identity';
  if (coding.trim().toLowerCase() !== 'identity') {
    throw new AsrproError(
      'unsupported_content_type',
      'Send the form without Content-Encoding: asrpro does not unpack it.',
    );
  }
  try {
    return new Busboy({
      headers: headers as BusboyHeaders,
      highWaterMark: MAX_BACKLOG,
      // A few clients label every part as octet-stream. Without a file name, only the part `file` is then a file.
      isPartAFile: (name, type, fileName) =>
        fileName !== undefined || (type === 'application/octet-stream' && baseName(name ?? '') === 'file'),
      limits: { fieldSize: MAX_FIELD_BYTES, fields: MAX_FIELDS, parts: 2 * MAX_FIELDS },
    });
  } catch {
    throw malformed('the boundary is missing or too long');
  }
}

function checkSize(bytes: number, maxBytes: number): void {
  if (bytes <= maxBytes) return;
  throw new AsrproError('file_too_large', `Maximum content size limit (${maxBytes}) exceeded.`, {
    param: 'file',
    hint: 'Split the audio, or raise `server.maxUploadBytes`.',
  });
}

/** The message begins as OpenAI's does, because clients match on it. */
function malformed(reason: string): AsrproError {
  return new AsrproError('invalid_multipart', `Could not parse multipart form: ${reason}.`);
}

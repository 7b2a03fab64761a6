import { expect } from 'vitest';
import { type Answer, call } from '../setup/api.ts';
import { wav } from '../setup/wav.ts';

/** One part of a multipart body: a field, or a file if it has `fileName` or `type`. */
export interface Part {
  name: string;
  value: string | Buffer;
  /** The `filename` between the quotes, as sent. */
  fileName?: string;
  type?: string;
}

export interface Body {
  body: Buffer;
  headers: Record<string, string>;
}

export const field = (name: string, value: string): Part => ({ name, value });
export const speech: Part = { name: 'file', value: wav(1), fileName: 'a.wav', type: 'audio/wav' };

/** A multipart body with exactly these bytes. */
export function multipart(
  parts: Part[],
  { boundary = '----formdata-undici-0123456789', quoted = false, preamble = '', epilogue = '' } = {},
): Body {
  const chunks: Buffer[] = [Buffer.from(preamble)];
  for (const { name, value, fileName, type } of parts) {
    const file = fileName === undefined ? '' : `; filename="${fileName}"`;
    const kind = type === undefined ? '' : `content-type: ${type}\r\n`;
    chunks.push(Buffer.from(`--${boundary}\r\ncontent-disposition: form-data; name="${name}"${file}\r\n${kind}\r\n`));
    chunks.push(Buffer.from(value), Buffer.from('\r\n'));
  }
  chunks.push(Buffer.from(`--${boundary}--\r\n${epilogue}`));
  const parameter = quoted ? `"${boundary}"` : boundary;
  return {
    body: Buffer.concat(chunks),
    headers: { 'content-type': `multipart/form-data; boundary=${parameter}` },
  };
}

/** Sends fields, given as `name=value`, with one second of sound. */
export function ask(
  url: string,
  fields: string[],
  file: Part | null = speech,
  route = 'transcriptions',
): Promise<Answer> {
  const parts = fields.map((text) => {
    const at = text.indexOf('=');
    return field(text.slice(0, at), text.slice(at + 1));
  });
  return send(url, multipart(file === null ? parts : [...parts, file]), route);
}

export function send(url: string, { body, headers }: Body, route = 'transcriptions'): Promise<Answer> {
  return call(url, `/v1/audio/${route}`, { method: 'POST', headers, body: new Uint8Array(body) });
}

/** Asserts the whole error, the headers of every answer, and that the message has no path and no stack trace. */
export function expectError(answer: Answer, status: number, param: string | null, code: string | null): void {
  expect(answer.json, answer.text).toEqual({
    error: {
      message: expect.stringMatching(/\S/),
      type: status === 503 ? 'service_unavailable_error' : status >= 500 ? 'server_error' : 'invalid_request_error',
      param,
      code,
    },
  });
  expect(answer.status).toBe(status);
  expect(answer.headers.get('x-request-id')).toMatch(/^[0-9a-f-]{36}$/);
  expect(answer.json.error.message).not.toMatch(/\n\s+at |\/tmp\/|\/home\/|node_modules/);
  if (status === 503) expect(Number(answer.headers.get('retry-after'))).toSatisfy((s: number) => s >= 1 && s <= 60);
  expect(answer.headers.get('x-should-retry')).toBe(status === 503 ? null : 'false');
}

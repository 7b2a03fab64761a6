import { randomUUID } from 'node:crypto';
import type { ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import { AsrproError } from '../errors.ts';
import { breakOffBody } from './body.ts';
import { envelope, retryHeaders } from './error-reply.ts';

/** How long a client has to read why its connection ends. */
const READING_MS = 1_000;

const answered = new WeakSet<Socket>();

/**
 * Bytes that Node could not parse, or gave up waiting for. Never two answers to one request: where one is under way it
 * goes out, and the connection closes behind it.
 *
 * @param response to the last request of this connection, if there was one.
 */
export function answerBrokenRequest(
  error: NodeJS.ErrnoException,
  socket: Socket,
  response: ServerResponse | undefined,
): void {
  if (error.code === 'ECONNRESET' || socket.destroyed) {
    socket.destroy();
    return;
  }
  // What follows on the connection is broken as well.
  if (answered.has(socket)) return;
  answered.add(socket);
  if (response !== undefined && !(response.writableFinished && response.req.complete)) {
    if (!response.headersSent) response.setHeader('connection', 'close');
    if (response.writableFinished) closeWhenRead(socket);
    else response.once('close', () => closeWhenRead(socket));
    if (!response.req.complete) breakOffBody(response.req, 'its framing is broken');
    return;
  }
  if (!socket.writable) {
    socket.destroy();
    return;
  }
  closeWhenRead(socket, rawAnswer(error));
}

/** Closed at once, the client might lose the answer; left to the client, the connection might stay for ever. */
function closeWhenRead(socket: Socket, last = ''): void {
  socket.end(last);
  const late = setTimeout(() => socket.destroy(), READING_MS).unref();
  socket.once('close', () => clearTimeout(late));
}

function rawAnswer({ code }: NodeJS.ErrnoException): string {
  const failure = new AsrproError(
    'invalid_body',
    code === 'ERR_HTTP_REQUEST_TIMEOUT'
      ? 'The request did not arrive in time.'
      : 'The request is not valid HTTP, or its headers are too long.',
  );
  const body = JSON.stringify(envelope(failure));
  const headers = {
    'content-type': 'application/json; charset=utf-8',
    'content-length': String(Buffer.byteLength(body)),
    'x-request-id': randomUUID(),
    ...retryHeaders(failure),
    connection: 'close',
  };
  const head = Object.entries(headers).map(([name, value]) => `${name}: ${value}`);
  return `HTTP/1.1 400 Bad Request\r\n${head.join('\r\n')}\r\n\r\n${body}`;
}

import { randomUUID } from 'node:crypto';
import type { ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import { AsrproError } from '../errors.ts';
import { failBody } from './body.ts';
import { envelope, retryHeaders } from './error-reply.ts';

/** How long the client may take to read the answer before the socket is destroyed. */
const READ_LIMIT_MS = 1_000;

const answered = new WeakSet<Socket>();

/**
 * Answers bytes that Node could not parse, or a request that timed out. If the last request is still being answered
 * (`response`), that answer is sent and the connection then closes, so that a request never gets two answers.
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
  // Node reports an error for each later chunk of the same connection too.
  if (answered.has(socket)) return;
  answered.add(socket);
  if (response !== undefined && !(response.writableFinished && response.req.complete)) {
    if (!response.headersSent) response.setHeader('connection', 'close');
    if (response.writableFinished) closeWhenRead(socket);
    else response.once('close', () => closeWhenRead(socket));
    if (!response.req.complete) failBody(response.req, 'its framing is broken');
    return;
  }
  if (!socket.writable) {
    socket.destroy();
    return;
  }
  closeWhenRead(socket, rawAnswer(error));
}

/** An immediate close could lose the answer; without a limit, a client that never closes would keep the connection. */
function closeWhenRead(socket: Socket, last = ''): void {
  socket.end(last);
  const timer = setTimeout(() => socket.destroy(), READ_LIMIT_MS).unref();
  socket.once('close', () => clearTimeout(timer));
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

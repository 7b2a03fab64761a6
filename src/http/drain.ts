import type { IncomingMessage } from 'node:http';
import { BROKEN, hasKnownEnd, isBroken } from './body.ts';

/** Limits of draining. A client that sends more, or for longer, does not read its answer. */
const MAX_BYTES = 1024 * 1024 * 1024;
const MAX_MS = 10_000;

const draining = new WeakMap<IncomingMessage, Promise<void>>();

/**
 * Reads and discards the rest of a body that was answered early. Resolves when the body or the connection has ended, and
 * closes the connection of a client that exceeds the limits.
 */
export function drainBody(request: IncomingMessage): Promise<void> {
  const { socket } = request;
  const ended = request.complete || request.destroyed || socket.readableEnded;
  if (ended || isBroken(request) || !hasKnownEnd(request)) return Promise.resolve();
  const running = draining.get(request);
  if (running !== undefined) return running;
  const drained = new Promise<void>((resolve) => {
    let bytes = 0;
    const giveUp = (): void => {
      socket.destroy();
    };
    const timer = setTimeout(giveUp, MAX_MS).unref();
    const end = (): void => {
      clearTimeout(timer);
      socket.off('end', end);
      resolve();
    };
    request.on('data', (chunk: Buffer) => {
      bytes += chunk.length;
      if (bytes > MAX_BYTES) giveUp();
    });
    request.once('end', end).once('close', end).once(BROKEN, end);
    // When the client cuts the body short, only the socket emits `end`; the request emits nothing.
    socket.once('end', end);
    request.on('error', () => undefined);
    request.resume();
  });
  draining.set(request, drained);
  return drained;
}

/**
 * Sends the whole answer at once, but ends it only after the client has sent its whole body. A client that is still sending
 * sees an early answer only this way: to both JavaScript SDKs a closed connection is a connection error, and they retry.
 */
export async function* answerThenDrain(text: string, request: IncomingMessage): AsyncGenerator<string> {
  yield text;
  await drainBody(request);
}

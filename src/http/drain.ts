import type { IncomingMessage } from 'node:http';
import { BROKEN, hasKnownEnd, isBroken } from './body.ts';

/** A client that has not read its answer after so much, or so long, will not. */
const MAX_BYTES = 1024 * 1024 * 1024;
const MAX_MS = 10_000;

const draining = new WeakMap<IncomingMessage, Promise<void>>();

/**
 * Reads and forgets the rest of a body that was answered early, and resolves when it is over or the client sends no more;
 * the connection of a client that goes on and on is closed.
 */
export function drainBody(request: IncomingMessage): Promise<void> {
  const { socket } = request;
  const over = request.complete || request.destroyed || socket.readableEnded;
  if (over || isBroken(request) || !hasKnownEnd(request)) return Promise.resolve();
  const known = draining.get(request);
  if (known !== undefined) return known;
  const drained = new Promise<void>((resolve) => {
    let bytes = 0;
    const stop = (): void => {
      socket.destroy();
    };
    const timer = setTimeout(stop, MAX_MS).unref();
    const end = (): void => {
      clearTimeout(timer);
      socket.off('end', end);
      resolve();
    };
    request.on('data', (chunk: Buffer) => {
      bytes += chunk.length;
      if (bytes > MAX_BYTES) stop();
    });
    request.once('end', end).once('close', end).once(BROKEN, end);
    // The body was cut short: the request itself never hears of it.
    socket.once('end', end);
    request.on('error', () => undefined);
    request.resume();
  });
  draining.set(request, drained);
  return drained;
}

/**
 * The text of an answer that goes out before the body was read: all of it at once, its end when the client has sent
 * everything. Clients that are still sending see the answer only that way: to both JavaScript SDKs a closed connection is a
 * connection error, and they send everything again.
 */
export async function* heldOpen(text: string, request: IncomingMessage): AsyncGenerator<string> {
  yield text;
  await drainBody(request);
}

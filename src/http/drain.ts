import type { IncomingMessage } from 'node:http';

/** A client that has not read its answer after so much, or so long, will not. */
const MAX_BYTES = 256 * 1024 * 1024;
const MAX_MS = 10_000;

const draining = new WeakSet<IncomingMessage>();

/**
 * Reads and forgets the rest of a body that was answered early. Clients that are still sending see the answer only that
 * way: to both JavaScript SDKs a closed connection is a connection error, and they send everything again.
 */
export function drainBody(request: IncomingMessage): void {
  if (request.complete || request.destroyed || draining.has(request)) return;
  draining.add(request);
  let bytes = 0;
  const stop = (): void => {
    request.socket.destroy();
  };
  const timer = setTimeout(stop, MAX_MS);
  timer.unref();
  request.on('data', (chunk: Buffer) => {
    bytes += chunk.length;
    if (bytes > MAX_BYTES) stop();
  });
  request.once('close', () => clearTimeout(timer));
  request.on('error', () => undefined);
  request.resume();
}

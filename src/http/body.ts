import type { IncomingMessage } from 'node:http';
import { AsrproError } from '../errors.ts';

/** The least that must arrive in a window of time. A body that keeps below is given up. */
export interface Pace {
  windowMs: number;
  minBytes: number;
}

export interface BodyOptions {
  pace: Pace;
  /** The error for a body that is at fault, with the reason as half a sentence. */
  broken(reason: string): AsrproError;
  /** Ends the reading; its reason is what `readBody` rejects with. */
  signal?: AbortSignal;
}

const readers = new WeakMap<IncomingMessage, (reason: string) => void>();
const broken = new WeakSet<IncomingMessage>();

/**
 * Hands the body of a request to `take`, piece by piece, and waits where `take` returns a promise. Resolves at the end of
 * the body. Rejects with what `take` throws, with the signal's reason, with a `broken` error, or with `client_closed`.
 *
 * It ends for every way in which a body can end: an event that never comes was how requests used to keep their place in
 * the queue. The request is never destroyed, because an answer has to go out on its socket.
 */
export function readBody(
  request: IncomingMessage,
  { pace, broken: brokenBody, signal }: BodyOptions,
  take: (chunk: Buffer) => Promise<void> | undefined,
): Promise<void> {
  return new Promise((resolve, reject) => {
    let bytes = 0;
    let bytesBefore = 0;
    let waiting = false;
    let settled = false;
    const settle = (outcome: () => void): void => {
      if (settled) return;
      settled = true;
      clearInterval(clock);
      request.off('data', onData).off('end', onEnd).off('close', onClose);
      signal?.removeEventListener('abort', onAbort);
      readers.delete(request);
      outcome();
    };
    const fail = (error: unknown): void => settle(() => reject(error));
    const onData = (chunk: Buffer): void => {
      bytes += chunk.length;
      try {
        const taken = take(chunk);
        if (taken === undefined) return;
        waiting = true;
        request.pause();
        taken.then(() => {
          waiting = false;
          if (!settled) request.resume();
        }, fail);
      } catch (error) {
        fail(error);
      }
    };
    const onEnd = (): void => settle(resolve);
    // A body that was read to its end has said so before. `complete` is no proof: its last bytes may be unread.
    const onClose = (): void => fail(new AsrproError('client_closed', 'The client went away during the upload.'));
    const onAbort = (): void => fail(signal?.reason);
    const clock = setInterval(() => {
      if (!waiting && bytes - bytesBefore < pace.minBytes) fail(brokenBody('it arrives too slowly, or not at all'));
      bytesBefore = bytes;
    }, pace.windowMs).unref();

    request.on('error', () => undefined);
    if (signal?.aborted) return onAbort();
    if (!hasKnownEnd(request)) return fail(brokenBody('nothing says where it ends'));
    if (request.readableEnded) return onEnd();
    if (request.destroyed) return onClose();
    readers.set(request, (reason) => fail(brokenBody(reason)));
    signal?.addEventListener('abort', onAbort);
    request.on('data', onData).once('end', onEnd).once('close', onClose);
  });
}

/** false for a `Transfer-Encoding` other than `chunked`: such a body would go on until the connection ends. */
export function hasKnownEnd({ headers }: IncomingMessage): boolean {
  const coding = headers['transfer-encoding'];
  return coding === undefined || /(?:^|,)\s*chunked\s*$/i.test(coding);
}

/** Node cannot parse the rest of a body: whoever reads it, or waits for its end, hears of it. */
export function breakOffBody(request: IncomingMessage, reason: string): void {
  broken.add(request);
  readers.get(request)?.(reason);
  request.emit(BROKEN);
}

/** Emitted by a request whose body ends in something that is no HTTP. */
export const BROKEN = Symbol('broken');

export function isBroken(request: IncomingMessage): boolean {
  return broken.has(request);
}

import type { IncomingMessage } from 'node:http';
import { AsrproError } from '../errors.ts';

/** The minimum number of bytes that must arrive in each time window. A slower body is rejected. */
export interface Pace {
  windowMs: number;
  minBytes: number;
}

export interface BodyOptions {
  pace: Pace;
  /** Creates the error for a faulty body. `reason` completes the sentence, for example "its framing is broken". */
  broken(reason: string): AsrproError;
  /** Stops the reading; `readBody` rejects with the signal's reason. */
  signal?: AbortSignal;
}

const readers = new WeakMap<IncomingMessage, (reason: string) => void>();
const broken = new WeakSet<IncomingMessage>();

/**
 * Passes each chunk of the body to `take`, and waits for the promise that `take` may return. Rejects with what `take` throws,
 * the signal's reason, a `broken` error or `client_closed`. It settles however the body ends, because a request that waited for
 * an event that never came kept its place in the queue. The request is not destroyed: its socket must send the answer.
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
    // A complete body has already emitted `end`. `request.complete` proves nothing: the last bytes may still be unread.
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

/** False for a `Transfer-Encoding` other than `chunked`: such a body only ends when the connection closes. */
export function hasKnownEnd({ headers }: IncomingMessage): boolean {
  const coding = headers['transfer-encoding'];
  return coding === undefined || /(?:^|,)\s*chunked\s*$/i.test(coding);
}

/** Node cannot parse the rest of this body: fails `readBody` and emits BROKEN for code that waits for the end. */
export function failBody(request: IncomingMessage, reason: string): void {
  broken.add(request);
  readers.get(request)?.(reason);
  request.emit(BROKEN);
}

/** Event of a request whose body continues with bytes that are not valid HTTP. */
export const BROKEN = Symbol('broken');

export function isBroken(request: IncomingMessage): boolean {
  return broken.has(request);
}

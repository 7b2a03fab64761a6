import { decode, encode } from '@msgpack/msgpack';
import { type GatewayMessage, type WorkerMessage, workerMessage } from './messages.ts';

/** A frame that is not a message of this protocol. */
export class ProtocolError extends Error {
  override readonly name = 'ProtocolError';
}

export function encodeMessage(message: GatewayMessage | WorkerMessage): Uint8Array {
  // msgpack would encode `undefined` as null, which the worker would read as a value.
  return encode(message, { ignoreUndefined: true });
}

/** Throws ProtocolError, which names the first invalid key. */
export function decodeWorkerMessage(frame: Uint8Array): WorkerMessage {
  let value: unknown;
  try {
    value = decode(frame);
  } catch (error) {
    throw new ProtocolError(`not msgpack: ${(error as Error).message}`);
  }
  const parsed = workerMessage.safeParse(value);
  if (parsed.success) return parsed.data;
  const [issue] = parsed.error.issues;
  throw new ProtocolError(`not a worker message: ${issue?.path.join('.') || 'type'}: ${issue?.message}`);
}

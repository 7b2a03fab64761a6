import net from 'node:net';
import { connectionWords } from '../network/connection-words.ts';

/** A machine of the same network answers in milliseconds, a machine behind a slow link within a second. */
const TIMEOUT_MS = 2_000;

/** null if something listens at the head's address, else the reason as one sentence. Starts no process. */
export async function whyHeadUnreachable(address: string): Promise<string | null> {
  const { host, port } = endpointOf(address);
  return await new Promise((resolve) => {
    const socket = net.connect({ host, port, timeout: TIMEOUT_MS });
    const settle = (why: string | null): void => {
      socket.destroy();
      resolve(why === null ? null : `The head of the cluster does not answer: ${why}.`);
    };
    socket.once('connect', () => settle(null));
    socket.once('timeout', () => settle('no connection within 2 s'));
    socket.once('error', (error) => settle(connectionWords((error as NodeJS.ErrnoException).code)));
  });
}

/** Parses `HOST:PORT`, with an IPv6 address in brackets. */
export function endpointOf(address: string): { host: string; port: number } {
  const at = address.lastIndexOf(':');
  return { host: address.slice(0, at).replace(/^\[|\]$/g, ''), port: Number(address.slice(at + 1)) };
}

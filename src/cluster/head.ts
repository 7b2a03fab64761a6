import net from 'node:net';
import { connectionWords } from '../network/connection-words.ts';

/** A machine of the same network answers in milliseconds, one behind a slow link in a second. */
const PATIENCE_MS = 2_000;

/** Whether something listens where the head should be: null, or why not as one sentence. Starts no process. */
export async function whyNoHead(address: string): Promise<string | null> {
  const { host, port } = endpointOf(address);
  return await new Promise((resolve) => {
    const socket = net.connect({ host, port, timeout: PATIENCE_MS });
    const settle = (why: string | null): void => {
      socket.destroy();
      resolve(why === null ? null : `The head of the cluster does not answer: ${why}.`);
    };
    socket.once('connect', () => settle(null));
    socket.once('timeout', () => settle('it says nothing within 2 s'));
    socket.once('error', (error) => settle(connectionWords((error as NodeJS.ErrnoException).code)));
  });
}

/** `HOST:PORT`; an IPv6 address is in brackets. */
export function endpointOf(address: string): { host: string; port: number } {
  const at = address.lastIndexOf(':');
  return { host: address.slice(0, at).replace(/^\[|\]$/g, ''), port: Number(address.slice(at + 1)) };
}

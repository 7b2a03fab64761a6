import { curveKeyPair, Router } from 'zeromq';
import { decodeWorkerMessage, encodeMessage, ProtocolError } from './codec.ts';
import type { LinkListener, WorkerLink } from './link.ts';
import type { Bootstrap, GatewayMessage } from './messages.ts';

/** The largest frame that a worker may send; a segment is a few KiB. */
const MAX_FRAME_BYTES = 16 * 1024 * 1024;

export interface RouterLink extends WorkerLink {
  /** The address that the worker connects to, read back after binding. */
  readonly endpoint: string;
  /** The worker's keys when the endpoint is TCP. */
  readonly curve: Bootstrap['curve'];
}

/**
 * Binds a ROUTER socket for one worker generation and ignores frames from other identities. `address` is an unused ipc
 * path, or `tcp` (Windows), which is encrypted with new CURVE keys.
 */
export async function openRouterLink(address: string | 'tcp', identity: string): Promise<RouterLink> {
  // `mandatory` makes a send to a dead worker fail. Without `sendTimeout: 0` it hangs when no worker ever connected.
  const socket = new Router({ mandatory: true, sendTimeout: 0, linger: 0, maxMessageSize: MAX_FRAME_BYTES });
  let curve: Bootstrap['curve'] = null;
  if (address === 'tcp') {
    const [server, client] = [curveKeyPair(), curveKeyPair()];
    socket.curveServer = true;
    socket.curveSecretKey = server.secretKey;
    curve = { server_public: server.publicKey, client_public: client.publicKey, client_secret: client.secretKey };
  }
  await socket.bind(address === 'tcp' ? 'tcp://127.0.0.1:*' : `ipc://${address}`);
  const endpoint = socket.lastEndpoint;
  if (endpoint === null) throw new Error('the socket has no endpoint after bind');

  // zeromq.js throws EBUSY on a second concurrent send, so sends are chained.
  let tail: Promise<unknown> = Promise.resolve();
  return {
    endpoint,
    curve,
    send(message: GatewayMessage) {
      const sent = tail.then(() => socket.send([identity, encodeMessage(message)]));
      tail = sent.catch(() => undefined);
      return sent;
    },
    listen(listener) {
      void receive(socket, identity, listener);
    },
    close() {
      if (!socket.closed) socket.close();
    },
  };
}

async function receive(socket: Router, identity: string, listener: LinkListener): Promise<void> {
  for await (const [sender, ...frames] of socket) {
    if (sender?.toString() !== identity) continue;
    try {
      const [frame] = frames;
      if (frame === undefined || frames.length > 1) throw new ProtocolError(`${frames.length} frames instead of one`);
      listener.message(decodeWorkerMessage(frame));
    } catch (error) {
      if (!(error instanceof ProtocolError)) throw error;
      listener.protocolError(error);
    }
  }
}

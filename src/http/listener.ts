import { lookup } from 'node:dns/promises';
import { once } from 'node:events';
import { createServer, type RequestListener, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import { AsrproError } from '../errors.ts';
import { answerBrokenRequest } from './broken-request.ts';

/** Longer than the pauses of clients that come again, as SDKs do with a pool of connections. */
const KEEP_ALIVE_MS = 72_000;
/** Another program may have the port that was free on the first address. */
const FREE_PORT_TRIES = 10;

/** The sockets that a gateway listens on, and all connections that came in through them. */
export interface Listener {
  /** Listens on every address that the host has. Resolves with the port; throws `address_in_use`, `address_unavailable`. */
  listen(host: string, port: number): Promise<number>;
  /** Connections between two requests are of no use any more. */
  closeIdle(): void;
  /** Accepts no more; resolves when all connections are gone, which those that are left after `limitMs` are made to be. */
  close(limitMs: number): Promise<void>;
}

/**
 * `localhost` is two addresses on most machines. Fastify opens a second server for the other one by itself, which knew
 * neither our limits nor the end: one stuck client on it kept the process alive after SIGTERM. Here all servers are alike.
 */
export function createListener(handle: RequestListener): Listener {
  const servers: Server[] = [];
  const connections = new Set<Socket>();
  const responses = new WeakMap<Socket, ServerResponse>();

  function makeServer(): Server {
    const server = createServer({ keepAliveTimeout: KEEP_ALIVE_MS, requestTimeout: 0, requireHostHeader: false });
    const onRequest: RequestListener = (request, response) => {
      responses.set(request.socket, response);
      handle(request, response);
    };
    server.on('request', onRequest);
    // A client that waits for 100 Continue is let on, or refused, by the handlers.
    server.on('checkContinue', onRequest).on('checkExpectation', onRequest);
    server.on('clientError', (error: Error, socket) =>
      answerBrokenRequest(error, socket as Socket, responses.get(socket as Socket)),
    );
    server.on('connection', (socket: Socket) => {
      connections.add(socket);
      socket.once('close', () => connections.delete(socket));
    });
    return server;
  }

  async function bind(address: string, port: number): Promise<number> {
    const server = makeServer().listen({ host: address, port });
    await once(server, 'listening');
    // A connection that cannot be accepted, for want of file descriptors, is no reason to end.
    server.on('error', () => undefined);
    servers.push(server);
    return (server.address() as AddressInfo).port;
  }

  /** Addresses that this machine names and does not have, such as `::1` without IPv6, are passed over. */
  async function bindAll(addresses: readonly string[], wanted: number): Promise<number> {
    let port = wanted;
    let absent: unknown;
    for (const address of addresses) {
      try {
        port = await bind(address, port);
      } catch (error) {
        if (!ABSENT.has((error as NodeJS.ErrnoException).code)) throw error;
        absent = error;
      }
    }
    if (servers.length === 0) throw absent;
    return port;
  }

  async function closeServers(): Promise<void> {
    await Promise.all(servers.map((server) => new Promise<void>((resolve) => void server.close(() => resolve()))));
    servers.length = 0;
  }

  return {
    async listen(host, port) {
      for (let tries = 1; ; tries++) {
        try {
          return await bindAll(await addressesOf(host), port);
        } catch (error) {
          await closeServers();
          const taken = (error as NodeJS.ErrnoException).code === 'EADDRINUSE';
          if (!(taken && port === 0 && tries < FREE_PORT_TRIES)) throw listenError(error, host, port);
        }
      }
    },
    closeIdle() {
      for (const server of servers) server.closeIdleConnections();
    },
    async close(limitMs) {
      const late = setTimeout(() => {
        for (const socket of connections) socket.destroy();
      }, limitMs);
      await closeServers();
      clearTimeout(late);
    },
  };
}

const ABSENT: ReadonlySet<string | undefined> = new Set(['EADDRNOTAVAIL', 'EAFNOSUPPORT', 'EINVAL']);

/** Browsers and resolvers differ in which of its two addresses `localhost` is, whatever the hosts file says. */
async function addressesOf(host: string): Promise<string[]> {
  if (host.toLowerCase() === 'localhost') return ['127.0.0.1', '::1'];
  const found = await lookup(host, { all: true });
  return [...new Set(found.map(({ address }) => address))];
}

function listenError(thrown: unknown, host: string, port: number): AsrproError {
  const error = thrown as NodeJS.ErrnoException;
  if (error.code === 'EADDRINUSE') {
    return new AsrproError('address_in_use', `Another program listens on ${host}:${port}.`, {
      hint: 'Choose another port with --port, or 0 for any free one.',
      cause: error,
    });
  }
  return new AsrproError(
    'address_unavailable',
    `Cannot listen on ${host}:${port} (${error.code ?? 'unknown reason'}).`,
    {
      hint: 'Choose an address of this machine with --host, and a port above 1023.',
      cause: error,
    },
  );
}

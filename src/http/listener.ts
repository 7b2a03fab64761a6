import { lookup } from 'node:dns/promises';
import { once } from 'node:events';
import { createServer, type RequestListener, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import { AsrproError } from '../errors.ts';
import { answerBrokenRequest } from './broken-request.ts';

/** Longer than the pauses of SDKs that reuse the connections of a pool. */
const KEEP_ALIVE_MS = 72_000;
/**
 * Browsers and `fetch` open connections in advance. Node counts one that has never had a request as busy, so a stop took
 * the whole drain time. The delay lets the gateway read a request that has just arrived.
 */
const UNUSED_MS = 100;
/** A port that is free on the first address may be in use on the second. */
const FREE_PORT_TRIES = 10;

/** The sockets that a gateway listens on, and the connections that they accepted. */
export interface Listener {
  /** Listens on every address of the host. Resolves with the port. Throws `address_in_use`, `address_unavailable`. */
  listen(host: string, port: number): Promise<number>;
  /** Closes the connections that have no request. */
  closeIdle(): void;
  /** Stops accepting, and resolves when all connections are closed. After `limitMs` the remaining ones are destroyed. */
  close(limitMs: number): Promise<void>;
}

/**
 * `localhost` has two addresses on most machines. Fastify's own `listen` opens a second server without our limits, and one
 * stuck client on it kept the process alive after SIGTERM. Here all servers have the same limits and the same end.
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
    // The handlers decide whether a client that waits for 100 Continue may send its body.
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
    // Without a listener, a failed accept (no free file descriptor) would end the process.
    server.on('error', () => undefined);
    servers.push(server);
    return (server.address() as AddressInfo).port;
  }

  /** Skips addresses that the hosts file names but the machine does not have, such as `::1` without IPv6. */
  async function bindAll(addresses: readonly string[], requestedPort: number): Promise<number> {
    let port = requestedPort;
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
          const inUse = (error as NodeJS.ErrnoException).code === 'EADDRINUSE';
          if (!(inUse && port === 0 && tries < FREE_PORT_TRIES)) throw listenError(error, host, port);
        }
      }
    },
    closeIdle() {
      for (const server of servers) server.closeIdleConnections();
    },
    async close(limitMs) {
      const timer = setTimeout(() => {
        for (const socket of connections) socket.destroy();
      }, limitMs);
      const unused = setTimeout(() => {
        for (const socket of connections) if (socket.bytesRead === 0) socket.destroy();
      }, UNUSED_MS);
      await closeServers();
      clearTimeout(timer);
      clearTimeout(unused);
    },
  };
}

const ABSENT: ReadonlySet<string | undefined> = new Set(['EADDRNOTAVAIL', 'EAFNOSUPPORT', 'EINVAL']);

/** Clients differ in which address they use for `localhost`, whatever the hosts file says, so it is always both. */
async function addressesOf(host: string): Promise<string[]> {
  if (host.toLowerCase() === 'localhost') return ['127.0.0.1', '::1'];
  const found = await lookup(host, { all: true });
  return [...new Set(found.map(({ address }) => address))];
}

function listenError(thrown: unknown, host: string, port: number): AsrproError {
  const error = thrown as NodeJS.ErrnoException;
  if (error.code === 'EADDRINUSE') {
    return new AsrproError('address_in_use', `Another program is listening on ${host}:${port}.`, {
      hint: 'Choose another port with --port, or --port 0 for any free port.',
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

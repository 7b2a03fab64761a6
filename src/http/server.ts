import { randomUUID } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import fastify, { type FastifyInstance, type FastifyReply, type FastifyRequest } from 'fastify';
import { AsrproError } from '../errors.ts';
import type { HttpServerDeps } from './deps.ts';
import { drainBody } from './drain.ts';
import { envelope, requestError, retryHeaders } from './error-reply.ts';
import { createGuard } from './guard.ts';
import { normalisePath } from './model-paths.ts';
import { allowedMethods, type Operation } from './operation.ts';
import { operations } from './routes/all.ts';

export type { HttpServerDeps } from './deps.ts';

export interface HttpServer {
  /** Accepts requests from here on. Throws `address_in_use`, `address_unavailable`. */
  listen(): Promise<{ url: string; host: string; port: number }>;
  /** Accepts no more; resolves when the running requests are answered, for at most `server.drainSeconds` and a bit. */
  close(): Promise<void>;
}

/** Of OpenAI's API; the SDKs look at nothing but the presence. */
const API_VERSION = '2020-10-01';
/** Node allows 16 KiB for all headers, the path included; no path may fail before that. */
const MAX_PATH = 16 * 1024;
/** For answers to go out after the last job has ended. */
const CLOSE_GRACE_MS = 1_000;

export async function createHttpServer(deps: HttpServerDeps): Promise<HttpServer> {
  const { config, log } = deps;
  const routes = operations(deps);
  let closing = false;

  const app = fastify({
    genReqId: () => randomUUID(),
    rewriteUrl: (request) => normalisePath(request.url ?? '/'),
    routerOptions: { maxParamLength: MAX_PATH },
    // A job that is refused while stopping gets an error of ours.
    return503OnClosing: false,
    frameworkErrors: (_error, request, reply) => sendError(unknownUrl(request), request as FastifyRequest, reply),
    clientErrorHandler: (error, socket) => answerBrokenRequest(error, socket),
    // No route has a schema for fastify: what it would check and write them with is not even loaded.
    schemaController: { compilersFactory: { buildValidator: noCompiler, buildSerializer: noCompiler } },
    // The guard looks at Host.
    http: { requireHostHeader: false },
  });

  function sendError(thrown: unknown, request: FastifyRequest, reply: FastifyReply): FastifyReply {
    const error = requestError(thrown);
    if (error.kind.status === 500) {
      const err = error.cause ?? error;
      log.error({ err, request: request.id, code: error.code }, `${request.method} ${request.url} failed`);
    }
    return reply.code(error.kind.status).headers(retryHeaders(error)).type('application/json').send(envelope(error));
  }

  guardRequests(app, deps, routes);
  app.setErrorHandler(sendError);
  app.addHook('onSend', async (request, reply) => {
    reply.header('openai-version', API_VERSION);
    reply.header('openai-processing-ms', String(Math.round(reply.elapsedTime)));
    if (closing) reply.header('connection', 'close');
    log.debug({ request: request.id, status: reply.statusCode }, `${request.method} ${request.url}`);
  });
  app.addHook('onResponse', async (request) => {
    drainBody(request.raw);
    // A connection that was busy when the server stopped would be kept open for its next request.
    if (closing) setImmediate(() => app.server.closeIdleConnections());
  });

  // Bodies are read by the handlers, after every check on the headers.
  app.removeAllContentTypeParsers();
  app.addContentTypeParser('*', (_request, _body, done) => done(null));
  for (const { method, path, handler } of routes) {
    app.route({ method, url: path.replaceAll(/\{(\w+)\}/g, ':$1'), handler });
  }
  await app.ready();
  app.server.on('checkContinue', (request: IncomingMessage, response: ServerResponse) =>
    app.routing(request, response),
  );
  app.server.on('checkExpectation', (request: IncomingMessage, response: ServerResponse) =>
    app.routing(request, response),
  );

  return {
    async listen() {
      const { host, port } = config.server;
      await app.listen({ host, port }).catch((error: NodeJS.ErrnoException) => {
        throw listenError(error, host, port);
      });
      const bound = (app.server.address() as AddressInfo).port;
      return { url: `http://${reachable(host)}:${bound}`, host, port: bound };
    },
    async close() {
      closing = true;
      const limit = config.server.drainSeconds * 1000 + CLOSE_GRACE_MS;
      const late = setTimeout(() => app.server.closeAllConnections(), limit);
      await app.close();
      clearTimeout(late);
    },
  };
}

/** Gives every answer its id, and refuses whoever must not be here before a handler or the body is looked at. */
function guardRequests(app: FastifyInstance, { config }: HttpServerDeps, routes: readonly Operation[]): void {
  const guard = createGuard(config.server);
  const open = new Set(routes.filter((operation) => operation.public).map(({ path }) => path));
  app.addHook('onRequest', async (request, reply) => {
    reply.header('x-request-id', request.id);
    const answered = guard.check(request, reply, { keyNeeded: !open.has(pathOf(request)) });
    if (answered) return reply.code(204).send();
    // Here and not in a handler of its own: before that the framework looks for a body, and stumbles over new methods.
    if (request.is404) return answerUnrouted(routes, request, reply);
  });
}

/** No route: another method of a known path, or nothing that exists. */
function answerUnrouted(routes: readonly Operation[], request: FastifyRequest, reply: FastifyReply): FastifyReply {
  const methods = allowedMethods(routes, pathOf(request));
  if (methods.length === 0) throw unknownUrl(request);
  reply.header('allow', methods.join(', '));
  if (request.method === 'OPTIONS') return reply.code(204).send();
  throw new AsrproError('method_not_allowed', `Not allowed to ${request.method} on ${shortPath(request)}.`, {
    hint: `Allowed: ${methods.join(', ')}.`,
  });
}

/** What Node could not parse, or gave up waiting for; there is no request, only a socket. */
function answerBrokenRequest(error: NodeJS.ErrnoException, socket: Socket): void {
  if (error.code === 'ECONNRESET' || !socket.writable) {
    socket.destroy();
    return;
  }
  const failure = new AsrproError('invalid_body', 'The request is not valid HTTP, or its headers are too long.');
  const body = JSON.stringify(envelope(failure));
  const head = [
    'HTTP/1.1 400 Bad Request',
    'content-type: application/json; charset=utf-8',
    `content-length: ${Buffer.byteLength(body)}`,
    `x-request-id: ${randomUUID()}`,
    'x-should-retry: false',
    'connection: close',
  ];
  socket.end(`${head.join('\r\n')}\r\n\r\n${body}`);
}

/** The text is OpenAI's. */
function unknownUrl(request: { method: string; originalUrl: string }): AsrproError {
  return new AsrproError('unknown_url', `Invalid URL (${request.method} ${shortPath(request)})`, {
    hint: 'GET /openapi.json lists all calls.',
  });
}

function pathOf(request: FastifyRequest): string {
  return request.url.split('?')[0]!;
}

function noCompiler(): never {
  throw new Error('routes check and write bodies themselves');
}

function shortPath({ originalUrl }: { originalUrl: string }): string {
  return originalUrl.split('?')[0]!.slice(0, 200);
}

function listenError(error: NodeJS.ErrnoException, host: string, port: number): AsrproError {
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

/** An address for clients on this machine. */
function reachable(host: string): string {
  if (host === '0.0.0.0') return '127.0.0.1';
  if (host === '::') return '[::1]';
  return host.includes(':') ? `[${host}]` : host;
}

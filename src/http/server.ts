import { randomUUID } from 'node:crypto';
import { Readable } from 'node:stream';
import { setFlagsFromString } from 'node:v8';
import fastify, { type FastifyInstance, type FastifyReply, type FastifyRequest } from 'fastify';
import { AsrproError } from '../errors.ts';
import { shuttingDown } from '../residency/refusals.ts';
import type { HttpServerDeps } from './deps.ts';
import { answerThenDrain, drainBody } from './drain.ts';
import { envelope, requestError, retryHeaders } from './error-reply.ts';
import { createGuard } from './guard.ts';
import { createListener } from './listener.ts';
import { allowedMethods, type Operation } from './operation.ts';
import { normalisePath, suggestPath } from './paths.ts';
import { operations } from './routes/all.ts';
import { pageInto, wantsPage } from './routes/docs.ts';

export type { HttpServerDeps } from './deps.ts';

export interface HttpServer {
  /** Starts accepting requests. Throws `address_in_use`, `address_unavailable`. */
  listen(): Promise<{ url: string; host: string; port: number }>;
  /** Stops accepting requests, and resolves when the running ones are answered or after `server.drainSeconds` + 1 s. */
  close(): Promise<void>;
}

/** Version of OpenAI's API; the SDKs only check that the header is present. */
const API_VERSION = '2020-10-01';
/** Node's limit for all headers, the path included, so that the router never rejects a path that Node accepted. */
const MAX_PATH = 16 * 1024;
/** Time for the last answers to be sent after the last job has ended. */
const CLOSE_GRACE_MS = 1_000;

/**
 * Fastify provides routing, hooks and replies. Its body parsers are off, because uploads are refused from their headers and
 * then streamed to disk. Its schemas are off, because zod validates, types the answers and generates /openapi.json. Its
 * listen and close are not used, because they do not limit the second server that `localhost` needs (listener.ts).
 */
export async function createHttpServer(deps: HttpServerDeps): Promise<HttpServer> {
  const { config, log } = deps;
  const closing = new AbortController();
  const routes = operations(deps, closing.signal);

  const app = fastify({
    genReqId: () => randomUUID(),
    rewriteUrl: (request) => normalisePath(request.url ?? '/'),
    routerOptions: { maxParamLength: MAX_PATH },
    // While stopping, the residency refuses jobs with `shutting_down`, which has OpenAI's envelope.
    return503OnClosing: false,
    frameworkErrors: (_error, request, reply) =>
      sendError(unknownUrl(routes, request), request as FastifyRequest, reply),
    // No route has a schema for fastify, so that its validator and serializer are never loaded.
    schemaController: { compilersFactory: { buildValidator: noCompiler, buildSerializer: noCompiler } },
  });
  const listener = createListener((request, response) => app.routing(request, response));

  function sendError(thrown: unknown, request: FastifyRequest, reply: FastifyReply): FastifyReply {
    const error = requestError(thrown);
    if (error.kind.status === 500) {
      const err = error.cause ?? error;
      log.error({ err, request: request.id, code: error.code }, `${request.method} ${request.url} failed`);
    }
    reply.code(error.kind.status).headers(retryHeaders(error));
    if (error.kind.status === 401 && wantsPage(request)) return reply.send(pageInto(reply));
    return reply.type('application/json').send(envelope(error));
  }

  guardRequests(app, deps, routes);
  app.setErrorHandler(sendError);
  app.addHook('onSend', async (request, reply, payload) => {
    reply.header('openai-version', API_VERSION);
    reply.header('openai-processing-ms', String(Math.round(reply.elapsedTime)));
    if (closing.signal.aborted) reply.header('connection', 'close');
    log.debug({ request: request.id, status: reply.statusCode }, `${request.method} ${request.url}`);
    if (request.raw.complete || typeof payload !== 'string' || request.method === 'HEAD') return payload;
    reply.header('content-length', Buffer.byteLength(payload));
    return Readable.from(answerThenDrain(payload, request.raw), { objectMode: false });
  });
  app.addHook('onResponse', async (request) => {
    void drainBody(request.raw);
    // Node would keep a connection open that was busy when the server started to close.
    if (closing.signal.aborted) setImmediate(() => listener.closeIdle());
  });

  // Handlers read the body, after all checks of the headers.
  app.removeAllContentTypeParsers();
  app.addContentTypeParser('*', (_request, _body, done) => done(null));
  for (const { method, path, answers, handler } of routes) {
    const [{ status }] = answers;
    app.route({
      ...{ method, url: path.replaceAll(/\{(\w+)\}/g, ':$1') },
      handler: (request, reply) => handler(request, reply.code(status)),
    });
  }
  await app.ready();

  return {
    async listen() {
      keepHeapSmall();
      const { host } = config.server;
      const port = await listener.listen(host, config.server.port);
      return { url: `http://${reachable(host)}:${port}`, host, port };
    },
    async close() {
      closing.abort(shuttingDown());
      await listener.close(config.server.drainSeconds * 1000 + CLOSE_GRACE_MS);
      await app.close();
    },
  };
}

/** Sets the request id, and refuses forbidden and unroutable requests before a handler runs and before the body is read. */
function guardRequests(app: FastifyInstance, { config }: HttpServerDeps, routes: readonly Operation[]): void {
  const guard = createGuard(config.server);
  const open = new Set(routes.filter((operation) => operation.public).map(({ path }) => path));
  app.addHook('onRequest', async (request, reply) => {
    reply.header('x-request-id', request.id);
    const answered = guard.check(request, reply, { keyNeeded: !open.has(pathOf(request)) });
    if (answered) return reply.code(204).send();
    // Not in fastify's notFound handler: before that runs, fastify looks for a body and fails on methods it does not know.
    if (request.is404) return answerUnrouted(routes, request, reply);
  });
}

/** Answers a request without a route: a wrong method of a known path, or an unknown path. */
function answerUnrouted(routes: readonly Operation[], request: FastifyRequest, reply: FastifyReply): FastifyReply {
  const methods = allowedMethods(routes, pathOf(request));
  if (methods.length === 0) throw unknownUrl(routes, request);
  reply.header('allow', methods.join(', '));
  if (request.method === 'OPTIONS') return reply.code(204).send();
  throw new AsrproError('method_not_allowed', `Not allowed to ${request.method} on ${shortPath(request)}.`, {
    hint: `Allowed: ${methods.join(', ')}.`,
  });
}

/** The message is OpenAI's. */
function unknownUrl(routes: readonly Operation[], request: { method: string; originalUrl: string }): AsrproError {
  const suggestion = suggestPath(
    shortPath(request),
    routes.map(({ path }) => path),
  );
  const all = 'GET /openapi.json lists all calls.';
  return new AsrproError('unknown_url', `Invalid URL (${request.method} ${shortPath(request)})`, {
    hint: suggestion === undefined ? all : `Did you mean ${suggestion}? ${all}`,
  });
}

function pathOf(request: FastifyRequest): string {
  return request.url.split('?')[0]!;
}

/**
 * V8 lets the heap of a busy server grow to 200 MB for 18 MB in use, and shrinks it only when the server is idle. Measured
 * over 2000 malformed uploads: 91 MB private before and 201 MB after; with this flag 76 and 76 MB.
 * It is set here and not at process start, because it would slow the start down.
 */
function keepHeapSmall(): void {
  setFlagsFromString('--optimize-for-size');
}

function noCompiler(): never {
  throw new Error('routes must not have fastify schemas');
}

function shortPath({ originalUrl }: { originalUrl: string }): string {
  return originalUrl.split('?')[0]!.slice(0, 200);
}

/** An address that clients on this machine can connect to. */
function reachable(host: string): string {
  if (host === '0.0.0.0') return '127.0.0.1';
  if (host === '::' || host === '[::]') return '[::1]';
  return host.includes(':') && !host.startsWith('[') ? `[${host}]` : host;
}

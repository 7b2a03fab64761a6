import { createHash, timingSafeEqual } from 'node:crypto';
import type { FastifyReply, FastifyRequest } from 'fastify';
import type { Config } from '../config/schema.ts';
import { AsrproError } from '../errors.ts';
import { isLoopback } from './loopback.ts';

const EXPOSED = 'x-request-id, retry-after, openai-processing-ms';
const PREFLIGHT_SECONDS = '600';

/**
 * Values of Sec-Fetch-Site for requests from pages of other origins (`same-site`: another port or subdomain). Images, frames
 * and links send no Origin, so `<img src=".../v1/devices?refresh=true">` on any web page used to start device tests.
 */
const OTHER_SITES: ReadonlySet<unknown> = new Set(['cross-site', 'same-site']);

/**
 * Access control from the headers alone, before the body is read. It stops web pages that reach the server through a DNS
 * name which resolves to this machine (Host) or by a cross-origin request (Origin, Sec-Fetch-Site).
 */
export interface Guard {
  /**
   * Throws `forbidden_host`, `forbidden_origin`, `missing_api_key`, `invalid_api_key`. Sets the CORS headers for an allowed
   * page. Returns true for a preflight, which needs nothing but these headers.
   */
  check(request: FastifyRequest, reply: FastifyReply, options: { keyNeeded: boolean }): boolean;
}

export function createGuard({ allowedHosts, allowedOrigins, apiKey }: Config['server']): Guard {
  const hosts = new Set(allowedHosts.map((host) => host.toLowerCase()));
  const origins = new Set(allowedOrigins.map((origin) => origin.toLowerCase().replace(/\/$/, '')));
  const keyHash = apiKey === null ? null : hash(apiKey);

  return {
    check(request, reply, { keyNeeded }) {
      const host = request.headers.host?.toLowerCase() ?? '';
      const name = hostName(host);
      if (!isLoopback(name) && !hosts.has(name) && !hosts.has(host)) {
        throw new AsrproError('forbidden_host', 'The Host of the request is not allowed.', {
          hint: 'Use 127.0.0.1 or localhost, or add the name to `server.allowedHosts`.',
        });
      }
      const origin = request.headers.origin;
      if (origin === undefined && OTHER_SITES.has(request.headers['sec-fetch-site'])) throw forbiddenOrigin();
      if (origin !== undefined && origin.toLowerCase() !== `http://${host}`) {
        if (!origins.has(origin.toLowerCase())) throw forbiddenOrigin();
        allowPage(request, reply, origin);
        if (request.method === 'OPTIONS' && request.headers['access-control-request-method'] !== undefined) return true;
      }
      if (keyHash !== null && keyNeeded) checkKey(request.headers.authorization, keyHash);
      return false;
    },
  };
}

function forbiddenOrigin(): AsrproError {
  return new AsrproError('forbidden_origin', 'Web pages of this origin may not use this server.', {
    hint: 'To allow them, add the origin to `server.allowedOrigins`. To open a link, type its address.',
  });
}

/** Allows whatever headers the page requests, because the SDKs send many and add new ones with every release. */
function allowPage(request: FastifyRequest, reply: FastifyReply, origin: string): void {
  reply.header('access-control-allow-origin', origin).header('vary', 'Origin');
  reply.header('access-control-expose-headers', EXPOSED);
  if (request.method !== 'OPTIONS') return;
  reply.header('access-control-allow-methods', 'GET, POST, DELETE');
  reply.header('access-control-max-age', PREFLIGHT_SECONDS);
  const requested = request.headers['access-control-request-headers'];
  if (requested !== undefined) reply.header('access-control-allow-headers', requested);
  if (request.headers['access-control-request-private-network'] !== undefined) {
    reply.header('access-control-allow-private-network', 'true');
  }
}

function checkKey(authorization: string | undefined, expected: Buffer): void {
  const [, key] = /^Bearer +(.+)$/i.exec(authorization?.trim() ?? '') ?? [];
  if (key === undefined) {
    throw new AsrproError('missing_api_key', "You didn't provide an API key.", {
      hint: 'Send it as `Authorization: Bearer KEY`.',
    });
  }
  // Hashes have equal lengths, which the constant-time comparison requires.
  if (!timingSafeEqual(hash(key), expected)) {
    throw new AsrproError('invalid_api_key', `Incorrect API key provided: ${masked(key)}.`);
  }
}

function hash(text: string): Buffer {
  return createHash('sha256').update(text).digest();
}

function masked(key: string): string {
  return key.length < 16 ? '***' : `${key.slice(0, 3)}***${key.slice(-2)}`;
}

/** The Host header without its port. An IPv6 address keeps its brackets. */
function hostName(host: string): string {
  return host.replace(/:\d*$/, '');
}

import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { brotliCompressSync, deflateSync, gzipSync } from 'node:zlib';

/** The fault of one answer. `at` counts bytes of the body. */
export type Fault =
  | { kind: 'cut'; at: number }
  | { kind: 'stall'; at: number }
  | { kind: 'flip'; at: number }
  | { kind: 'drip' }
  | { kind: 'ignore range' }
  | { kind: 'part'; bytes: number }
  | { kind: 'other range' }
  | { kind: 'wrong length'; by: number }
  | { kind: 'change' }
  | { kind: 'gzip'; coding?: 'gzip' | 'deflate' | 'br' }
  | { kind: 'redirect'; to: string }
  | { kind: 'web page' }
  | { kind: 'status'; status: number; headers?: Record<string, string> };

export interface Asked {
  /** Name of the file, or `list`. */
  file: string;
  /** First byte of the requested range. */
  from: number;
  /** Bytes that were sent. */
  sent: number;
  authorization: string | undefined;
}

export interface FaultHub extends AsyncDisposable {
  url: string;
  asked: Asked[];
  /** The faults of the next answers for a file, in order. Later answers have no fault. */
  faults: Map<string, Fault[]>;
  /** Names in the list that have no file. */
  extraNames: string[];
  /** Answers every token with 401, as a hub does with an expired token, even for public files. */
  refusesTokens: boolean;
  /** Bytes a second of each answer; null: no limit. */
  bytesPerSecond: number | null;
}

export const REVISION = '0123456789abcdef0123456789abcdef01234567';

/** The list entries of the hub for these files. */
export function siblingsOf(files: ReadonlyMap<string, Buffer>) {
  return [...files].map(([rfilename, content]) => {
    const blobId = createHash('sha1').update(`blob ${content.length}\0`).update(content).digest('hex');
    const sha256 = createHash('sha256').update(content).digest('hex');
    const lfs = rfilename.endsWith('.bin') ? { sha256, size: content.length } : undefined;
    return { rfilename, size: content.length, blobId, ...(lfs ? { lfs } : {}) };
  });
}

/**
 * A server with the hub's protocol that serves `files` for every repository and revision, with the planned faults.
 *
 * @param tls key and certificate for HTTPS.
 */
export async function startFaultHub(
  files: ReadonlyMap<string, Buffer>,
  tls?: { key: Buffer; cert: Buffer },
): Promise<FaultHub> {
  const listener = (request: IncomingMessage, response: ServerResponse): void => {
    answer(request, response).catch(() => response.destroy());
  };
  const server = tls ? createTlsServer(tls, listener) : createServer(listener);
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const hub: FaultHub = {
    url: `${tls ? 'https' : 'http'}://127.0.0.1:${(server.address() as AddressInfo).port}`,
    asked: [],
    faults: new Map(),
    extraNames: [],
    refusesTokens: false,
    bytesPerSecond: null,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };

  // Hashing 75 MB for each list takes a third of a second, and a test asks twenty times.
  let listed: ReturnType<typeof siblingsOf> | undefined;

  async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { pathname } = new URL(request.url!, hub.url);
    const file = /\/resolve\/[^/]+\/(.+)$/.exec(pathname)?.[1];
    const name = pathname.startsWith('/api/') ? 'list' : decodeURIComponent(file ?? '');
    const from = Number(/^bytes=(\d+)-$/.exec(request.headers.range ?? '')?.[1] ?? 0);
    const asked: Asked = { file: name, from, sent: 0, authorization: request.headers.authorization };
    hub.asked.push(asked);
    if (hub.refusesTokens && asked.authorization !== undefined) {
      const refused = { 'x-error-message': 'Invalid credentials in Authorization header' };
      return void response.writeHead(401, refused).end();
    }
    const body = name === 'list' ? Buffer.from(JSON.stringify(listing())) : files.get(name);
    if (body === undefined) return void response.writeHead(404, { 'x-error-code': 'EntryNotFound' }).end();
    await misbehave(hub.faults.get(name)?.shift(), body, asked, response);
  }

  function listing() {
    const extra = hub.extraNames.map((rfilename) => ({ rfilename, size: 1, blobId: '0'.repeat(40) }));
    listed ??= siblingsOf(files);
    return { sha: REVISION, siblings: [...listed, ...extra] };
  }

  async function misbehave(
    fault: Fault | undefined,
    whole: Buffer,
    asked: Asked,
    response: ServerResponse,
  ): Promise<void> {
    let content = whole;
    if (fault?.kind === 'status') return void response.writeHead(fault.status, fault.headers).end('no');
    if (fault?.kind === 'redirect')
      return void response.writeHead(302, { location: fault.to + response.req.url }).end();
    if (fault?.kind === 'web page') {
      const page = '<!doctype html><title>Welcome to our hotel</title>';
      return void response.writeHead(200, { 'content-type': 'text/html; charset=utf-8' }).end(page);
    }
    if (fault?.kind === 'change') content = Buffer.concat([whole.subarray(1), Buffer.from('x')]);
    if (fault?.kind === 'gzip') {
      const coding = fault.coding ?? 'gzip';
      response.writeHead(200, { 'content-encoding': coding, 'transfer-encoding': 'chunked' });
      const compress = coding === 'br' ? brotliCompressSync : coding === 'deflate' ? deflateSync : gzipSync;
      return void response.end(compress(whole));
    }
    if (fault?.kind === 'other range') {
      const headers = { 'content-range': `bytes 0-${content.length - 1}/${content.length}` };
      return void response.writeHead(206, headers).end(content);
    }
    if (fault?.kind === 'part') {
      const part = content.subarray(asked.from, asked.from + fault.bytes);
      const range = `bytes ${asked.from}-${asked.from + part.length - 1}/${content.length}`;
      response.writeHead(206, { 'content-range': range, 'content-length': String(part.length) });
      return void response.end(part);
    }
    const ranged = asked.from > 0 && fault?.kind !== 'ignore range';
    if (ranged && asked.from >= content.length) return void response.writeHead(416).end();
    let body = ranged ? content.subarray(asked.from) : content;
    if (fault?.kind === 'flip' && body.length > 0) {
      body = Buffer.from(body);
      body[fault.at % body.length]! ^= 1;
    }
    const length = body.length + (fault?.kind === 'wrong length' ? fault.by : 0);
    const headers: Record<string, string> = { 'content-length': String(Math.max(0, length)) };
    if (ranged) headers['content-range'] = `bytes ${asked.from}-${content.length - 1}/${content.length}`;
    response.writeHead(ranged ? 206 : 200, headers);
    const stop = fault?.kind === 'cut' || fault?.kind === 'stall' ? fault.at % (body.length + 1) : body.length;
    await sendPaced(body.subarray(0, Math.min(stop, length)), fault?.kind === 'drip', asked, response);
    if (fault?.kind === 'stall') return;
    if (fault?.kind === 'cut' || length !== body.length) response.destroy();
    else response.end();
  }

  async function sendPaced(body: Buffer, drip: boolean, asked: Asked, response: ServerResponse): Promise<void> {
    // Each wait leaves one listener of the race behind.
    response.setMaxListeners(0);
    const block = drip ? Math.ceil(body.length / 20) || 1 : 16 * 1024;
    for (let at = 0; at < body.length && !response.destroyed; at += block) {
      const chunk = body.subarray(at, at + block);
      if (!response.write(chunk)) await Promise.race([once(response, 'drain'), once(response, 'close')]);
      asked.sent += chunk.length;
      const ms = drip ? 1 : hub.bytesPerSecond === null ? 0 : (chunk.length * 1000) / hub.bytesPerSecond;
      if (ms > 0) await new Promise((resolve) => setTimeout(resolve, ms));
    }
  }
  return hub;
}

import { once } from 'node:events';
import { createServer, request as httpRequest } from 'node:http';
import { type AddressInfo, connect, type Socket } from 'node:net';
import { afterEach, expect, test, vi } from 'vitest';
import { z } from 'zod';
import { AsrproError } from '../../src/errors.ts';
import { type Pace, readBody } from '../../src/http/body.ts';
import { readJson } from '../../src/http/json-body.ts';
import { call } from '../setup/api.ts';
import { mockGateway } from './mock-gateway.ts';
import { ask, expectError, multipart, speech } from './multipart.ts';

const open: Socket[] = [];
afterEach(() => {
  for (const socket of open.splice(0)) socket.destroy();
});

/** A connection that has begun an upload; the test sends the rest. */
async function beginUpload(port: number, first = ''): Promise<Socket> {
  const socket = connect(port, '127.0.0.1');
  open.push(socket);
  socket.on('error', () => undefined);
  const type = 'multipart/form-data; boundary=x';
  const head = `POST /v1/audio/transcriptions HTTP/1.1\r\nhost: localhost\r\ncontent-type: ${type}`;
  socket.write(`${head}\r\ncontent-length: 100000\r\n\r\n${first}`);
  await once(socket, 'connect');
  return socket;
}

test('beyond loopback, silent connections take no place in the queue', async () => {
  await using gateway = await mockGateway({ server: { host: '0.0.0.0' } });
  for (let n = 0; n < 40; n++) await beginUpload(gateway.port, n % 2 ? '--x\r\n' : '');
  expect((await call(gateway.url, '/health')).json.queue).toMatchObject({ running: 0, waiting: 0 });
  expect((await ask(gateway.url, ['model=mock-echo'])).status).toBe(200);
});

test('beyond loopback, a full queue is reported before the body is read, and a body takes its place at its end', async () => {
  await using gateway = await mockGateway({ server: { host: '0.0.0.0', maxQueue: 1 } });
  const places = [gateway.services.transcription.admit(), gateway.services.transcription.admit()];
  const { headers } = multipart([speech]);
  const sent = httpRequest(`${gateway.url}/v1/audio/transcriptions`, {
    method: 'POST',
    headers: { ...headers, 'content-length': '100000', expect: '100-continue' },
  });
  sent.on('error', () => undefined).on('continue', () => expect.unreachable('was told to go on'));
  sent.flushHeaders();
  const [response] = await once(sent, 'response');
  expect(response.statusCode).toBe(503);
  sent.destroy();
  expectError(await ask(gateway.url, ['model=mock-echo']), 503, null, 'queue_full');
  for (const place of places) place.release();
  expect((await ask(gateway.url, ['model=mock-echo'])).status).toBe(200);
});

test('on loopback a request takes its place first, so that a full queue costs no upload', async () => {
  await using gateway = await mockGateway({ server: { maxQueue: 1 } });
  await beginUpload(gateway.port);
  await beginUpload(gateway.port);
  await vi.waitFor(() => expect(gateway.services.residency.health().queue.waiting).toBe(2));
  expectError(await ask(gateway.url, ['model=mock-echo']), 503, null, 'queue_full');
});

/** Reads a body that `send` writes piece by piece, and returns the outcome under the minimum pace. */
async function outcome(pace: Pace, send: (socket: Socket) => void): Promise<unknown> {
  const server = createServer();
  const ended = once(server, 'request').then(([request]) => {
    const broken = (reason: string) => new AsrproError('invalid_body', reason);
    return readBody(request, { pace, broken }, () => undefined).then(
      () => 'whole',
      (error: AsrproError) => error.code,
    );
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const socket = connect((server.address() as AddressInfo).port, '127.0.0.1');
  socket.on('error', () => undefined);
  socket.write('POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 3000\r\n\r\n');
  send(socket);
  const code = await ended;
  socket.destroy();
  server.close();
  server.closeAllConnections();
  return code;
}

test('a body that is too slow or never comes is aborted, and one that keeps the pace is read to its end', async () => {
  const every = (milliseconds: number, bytes: number) => (socket: Socket) => {
    const drip = setInterval(() => socket.write('x'.repeat(bytes)), milliseconds);
    socket.once('close', () => clearInterval(drip));
  };
  const pace = { windowMs: 200, minBytes: 100 };
  expect(await outcome(pace, () => undefined)).toBe('invalid_body');
  expect(await outcome(pace, every(20, 1))).toBe('invalid_body');
  expect(await outcome(pace, every(20, 150))).toBe('whole');
});

test('a JSON body that does not come is aborted', async () => {
  const server = createServer();
  const ended = once(server, 'request').then(([request]) =>
    readJson(request, z.unknown(), { windowMs: 50, minBytes: 65_536 }).catch((error: AsrproError) => error.message),
  );
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const socket = connect((server.address() as AddressInfo).port, '127.0.0.1');
  socket.write('POST / HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 20\r\n\r\n{"a":');
  expect(await ended).toContain('too slowly');
  socket.destroy();
  server.close();
});

test('a body is not aborted because the reader in the gateway waits', async () => {
  const server = createServer();
  const ended = once(server, 'request').then(async ([request]) => {
    const broken = (reason: string) => new AsrproError('invalid_body', reason);
    let read = 0;
    await readBody(request, { pace: { windowMs: 20, minBytes: 1 }, broken }, (chunk) => {
      read += chunk.length;
      // The reader waits for ten windows of the pace, in which nothing can arrive.
      return new Promise((resolve) => void setTimeout(resolve, 200));
    });
    return read;
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const sent = httpRequest({ port: (server.address() as AddressInfo).port, method: 'POST' });
  sent.on('error', () => undefined);
  sent.end(Buffer.alloc(100_000));
  expect(await ended).toBe(100_000);
  sent.destroy();
  server.close();
});

import { once } from 'node:events';
import { createServer } from 'node:http';
import { connect, type Socket } from 'node:net';
import { expect, test, vi } from 'vitest';
import { call } from '../setup/api.ts';
import { startGateway } from '../setup/gateway.ts';
import { mockGateway } from './mock-gateway.ts';

const ADDRESSES = ['127.0.0.1', '::1'];

async function answerOf(socket: Socket): Promise<string> {
  const [chunk] = await once(socket, 'data');
  return String(chunk);
}

test('--host localhost answers in the same way on both addresses', async () => {
  await using gateway = await mockGateway({ server: { host: 'localhost' } });
  expect(gateway.url).toBe(`http://localhost:${gateway.port}`);
  for (const address of ADDRESSES) {
    const url = `http://${address.includes(':') ? `[${address}]` : address}:${gateway.port}`;
    expect((await call(url, '/health')).status).toBe(200);

    const waits = connect(gateway.port, address);
    const headers = 'host: localhost\r\ncontent-type: text/plain\r\ncontent-length: 9\r\nexpect: 100-continue';
    waits.write(`POST /v1/audio/transcriptions HTTP/1.1\r\n${headers}\r\n\r\n`);
    expect(await answerOf(waits), 'was let on before the check').toMatch(/^HTTP\/1\.1 400 /);
    waits.destroy();

    const broken = connect(gateway.port, address);
    broken.write('nonsense\r\n\r\n');
    expect(await answerOf(broken)).toContain('"invalid_body"');
    broken.destroy();

    const upgrades = connect(gateway.port, address);
    upgrades.write('GET /health HTTP/1.1\r\nhost: localhost\r\nconnection: upgrade\r\nupgrade: h2c\r\n\r\n');
    expect(await answerOf(upgrades)).toMatch(/^HTTP\/1\.1 200 /);
    upgrades.destroy();
  }
});

test('SIGTERM ends the gateway within the drain time although a client hangs on each address', async () => {
  const gateway = await startGateway({
    mock: true,
    args: ['--host', 'localhost'],
    environment: { ASRPRO_SERVER_DRAIN_SECONDS: '1' },
  });
  const port = Number(new URL(gateway.url).port);
  const clients = ADDRESSES.map((address) => connect(port, address).on('error', () => undefined));
  const headers = 'host: localhost\r\ncontent-type: multipart/form-data; boundary=x\r\ncontent-length: 100';
  for (const client of clients) client.write(`POST /v1/audio/transcriptions HTTP/1.1\r\n${headers}\r\n\r\n`);
  await vi.waitFor(async () => expect((await call(gateway.url, '/health')).json.queue.waiting).toBe(2));
  const asked = performance.now();
  expect(await gateway.stop()).toEqual({ code: 0, signal: null });
  // A client that hangs would keep the process alive for ever.
  expect(performance.now() - asked).toBeLessThan(20_000);
  for (const client of clients) client.destroy();
});

test('SIGTERM does not wait for connections without a request', async () => {
  const environment = { ASRPRO_SERVER_DRAIN_SECONDS: '15' };
  const gateway = await startGateway({ mock: true, environment });
  const port = Number(new URL(gateway.url).port);
  const [silent, unfinished] = [connect(port), connect(port)];
  unfinished.write('GET /health HTTP/1.1\r\nhost: local');
  for (const socket of [silent, unfinished]) socket.on('error', () => undefined);
  // When this answer is there, the gateway has accepted the other two connections.
  await Promise.all([silent, unfinished].map((socket) => once(socket, 'connect')));
  expect((await call(gateway.url, '/health')).status).toBe(200);
  const asked = performance.now();
  expect(await gateway.stop()).toEqual({ code: 0, signal: null });
  expect(performance.now() - asked).toBeLessThan(10_000);
});

test('an upload that is still being received at SIGTERM is answered at once', async () => {
  const gateway = await startGateway({ mock: true, environment: { ASRPRO_SERVER_DRAIN_SECONDS: '15' } });
  const client = connect(Number(new URL(gateway.url).port)).on('error', () => undefined);
  const headers = 'host: localhost\r\ncontent-type: multipart/form-data; boundary=x\r\ncontent-length: 100';
  client.write(`POST /v1/audio/transcriptions HTTP/1.1\r\n${headers}\r\n\r\n`);
  await vi.waitFor(async () => expect((await call(gateway.url, '/health')).json.queue.waiting).toBe(1));
  const asked = performance.now();
  const stopped = gateway.stop();
  expect(await answerOf(client)).toMatch(/^HTTP\/1\.1 503 [\s\S]*"code":"shutting_down"/);
  expect(performance.now() - asked).toBeLessThan(8_000);
  client.destroy();
  expect(await stopped).toEqual({ code: 0, signal: null });
});

test('an IPv6 address may be in brackets, as in an address of the web', async () => {
  await using gateway = await mockGateway({ server: { host: '[::1]' } });
  expect(gateway.url).toBe(`http://[::1]:${gateway.port}`);
  expect((await call(gateway.url, '/health')).status).toBe(200);
});

test.each(ADDRESSES)('a port that another program uses on %s is reported as in use', async (address) => {
  const other = createServer().listen(0, address);
  await once(other, 'listening');
  const { port } = other.address() as { port: number };
  await expect(mockGateway({ server: { host: 'localhost', port } })).rejects.toMatchObject({ code: 'address_in_use' });
  other.close();
});

test('the error names a host that cannot be resolved', async () => {
  const gateway = mockGateway({ server: { host: 'no-such-name.invalid' } });
  await expect(gateway).rejects.toMatchObject({ code: 'address_unavailable' });
});

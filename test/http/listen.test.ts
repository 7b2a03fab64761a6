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

test('a connection that a client has opened in advance does not delay the stop', async () => {
  const gateway = await startGateway({ mock: true });
  const client = connect(Number(new URL(gateway.url).port), '127.0.0.1').on('error', () => undefined);
  await once(client, 'connect');
  // Connections are accepted in their order.
  expect((await call(gateway.url, '/health')).status).toBe(200);
  const asked = performance.now();
  await gateway.stop();
  // The drain time is 20 s.
  expect(performance.now() - asked).toBeLessThan(15_000);
  client.destroy();
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

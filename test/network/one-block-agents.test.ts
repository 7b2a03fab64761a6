import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import http from 'node:http';
import https from 'node:https';
import type { AddressInfo } from 'node:net';
import path from 'node:path';
import { expect, test, vi } from 'vitest';
import { oneBlockAgents } from '../../src/network/one-block-agents.ts';
import { checkout } from '../setup/checkout.ts';

const pem = (name: string): Buffer => readFileSync(path.join(checkout, 'test/fixtures/tls', name));
const body = randomBytes(4 * 1024 * 1024);

/** Fails when Node changes what `onread` does, or when its HTTP parser passes on the memory that it reads into. */
test.each(['http', 'https'] as const)('%s receives into blocks that are used again', async (scheme) => {
  const send: http.RequestListener = (_request, response) => void response.end(body);
  const certificate = { key: pem('key.pem'), cert: pem('host.pem') };
  const server = scheme === 'http' ? http.createServer(send) : https.createServer(certificate, send);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  const agent = oneBlockAgents({ rejectUnauthorized: false })[scheme];
  const allocations = vi.spyOn(Buffer, 'allocUnsafeSlow');

  const received = await new Promise<Buffer[]>((resolve, reject) => {
    const { get } = scheme === 'http' ? http : https;
    const request = get({ host: '127.0.0.1', port, agent }, (response) => response.toArray().then(resolve, reject));
    request.on('error', reject);
  });
  const blocks = allocations.mock.results.map(({ value }) => value as Buffer);
  allocations.mockRestore();
  agent.destroy();
  server.close();

  // The chunks were kept without a copy while the blocks were overwritten, so they must not share memory.
  expect(Buffer.concat(received).equals(body)).toBe(true);
  // A block contains the end of the body only if the socket has read into it.
  expect(blocks.some((block) => block.includes(body.subarray(-16)))).toBe(true);
});

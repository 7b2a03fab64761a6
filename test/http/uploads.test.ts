import { once } from 'node:events';
import { connect } from 'node:net';
import { expect, test, vi } from 'vitest';
import { seeded } from '../setup/seeded.ts';
import { badBody, kinds, rawUpload, sendRaw } from './bad-uploads.ts';
import { mockGateway } from './mock-gateway.ts';
import { ask } from './multipart.ts';
import { sharedGateway } from './shared-gateway.ts';

const gateway = sharedGateway();
const port = (): number => Number(new URL(gateway.url).port);

/** Sends raw bytes and returns everything that comes back until the connection ends. */
async function converse(to: number, bytes: Buffer | string, { end = false } = {}): Promise<string> {
  const socket = connect(to, '127.0.0.1');
  let answer = '';
  socket.setEncoding('latin1').on('data', (chunk: string) => (answer += chunk));
  socket.write(bytes);
  if (end) socket.end();
  await once(socket, 'close');
  return answer;
}

async function nothingIsHeld(): Promise<void> {
  await vi.waitFor(() => {
    expect(gateway.services.residency.health().queue).toMatchObject({ running: 0, waiting: 0 });
    expect(gateway.spooled()).toEqual([]);
  });
}

test.each(kinds)('%s: the answer is a 4xx at once for every size, and nothing stays allocated', async (kind) => {
  for (const size of [10, 70_000, 1_150_000]) {
    for (const framing of ['length', 'chunked', 'too short'] as const) {
      const bytes = rawUpload(badBody(kind, size, seeded(1)), framing);
      const status = await sendRaw(port(), { bytes, leavesAfter: null });
      expect(status, `${size} bytes, ${framing}`).toSatisfy((code: number) => code >= 400 && code < 500);
    }
  }
  await nothingIsHeld();
});

test('a disconnect at any byte leaves no place and no file', async () => {
  for (const size of [0, 70_000, 1_150_000]) {
    const bytes = rawUpload(badBody('no audio', size, seeded(1)));
    const places = [1, 100, 250, 300, bytes.length / 2, ...[1, 2, 3, 4, 10, 40].map((left) => bytes.length - left)];
    for (const at of places) await sendRaw(port(), { bytes, leavesAfter: Math.floor(at) });
  }
  await nothingIsHeld();
});

test('a body that ends before its length is answered at once, also if the client only stops sending', async () => {
  const answer = await converse(port(), rawUpload(badBody('no audio', 70_000, seeded(1)), 'too long'), { end: true });
  expect(answer).toMatch(/^HTTP\/1\.1 400 /);
  expect(answer).toContain('Could not parse multipart form');
  await nothingIsHeld();
});

test('an invalid chunk ends the request with one answer', async () => {
  const whole = rawUpload(badBody('no audio', 70_000, seeded(1)), 'chunked');
  const last = whole.lastIndexOf('0\r\n\r\n');
  const began = performance.now();
  const answer = await converse(port(), Buffer.concat([whole.subarray(0, last), Buffer.from('nonsense\r\n')]));
  // The gateway waits 60 s for the rest of a body.
  expect(performance.now() - began).toBeLessThan(20_000);
  expect(answer.match(/HTTP\/1\.1/g)).toHaveLength(1);
  expect(answer).toMatch(/^HTTP\/1\.1 400 /);
  await nothingIsHeld();
});

test.each(['identity', 'xchunked'])(
  'a body in the transfer encoding %s, whose end nobody knows, is refused',
  async (coding) => {
    const type = 'multipart/form-data; boundary=x';
    const head = `POST /v1/audio/transcriptions HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\ncontent-type: ${type}`;
    const answer = await converse(port(), `${head}\r\ntransfer-encoding: ${coding}\r\n\r\n--x\r\n`);
    expect(answer).toMatch(/^HTTP\/1\.1 400 /);
    await nothingIsHeld();
  },
);

test('bytes behind a complete request are not processed before its answer', async () => {
  const get = 'GET /health HTTP/1.1\r\nhost: localhost\r\n\r\n';
  const answer = await converse(port(), `${get}nonsense\r\n\r\n`, { end: true });
  expect(answer).toMatch(/^HTTP\/1\.1 200 /);
});

test('a client that sends `connection: close` sees why its upload is refused, although it still sends', async () => {
  await using small = await mockGateway({ server: { maxUploadBytes: 1_000_000 } });
  const bytes = rawUpload(badBody('no audio', 30_000_000, seeded(1)));
  expect(await sendRaw(small.port, { bytes, leavesAfter: null })).toBe(413);
});

test('text fields that would fill the memory are refused', async () => {
  const fields = Array.from({ length: 100 }, (_, n) => `x${n}=${'x'.repeat(200_000)}`);
  const answer = await ask(gateway.url, ['model=mock-echo', ...fields]);
  expect(answer.status).toBe(400);
  expect(answer.json.error.message).toContain('text fields are too long');
});

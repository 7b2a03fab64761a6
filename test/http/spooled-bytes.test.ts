import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { createServer, request } from 'node:http';
import type { AddressInfo } from 'node:net';
import { expect, onTestFinished, test } from 'vitest';
import { spool } from '../../src/http/spool.ts';
import { receiveUpload } from '../../src/http/upload.ts';
import { temporaryHome } from '../setup/home.ts';
import { seeded } from '../setup/seeded.ts';
import { multipart } from './multipart.ts';

const sha256 = (bytes: Buffer): string => createHash('sha256').update(bytes).digest('hex');

/** Random bytes with many beginnings of the boundary, some of which a chunk cuts. */
function content(bytes: number, random: () => number): Buffer {
  const whole = Buffer.from(Uint32Array.from({ length: bytes / 4 }, () => random() * 2 ** 32).buffer);
  for (let at = 0; at < bytes - 100; at += Math.floor(random() * 3_000)) {
    whole.write('\r\n------formdata-undici-01234567'.slice(0, 1 + Math.floor(random() * 30)), at, 'latin1');
  }
  return whole;
}

test('the spooled file has the bytes that were sent, while eight uploads share the parser', async () => {
  const directory = temporaryHome();
  const random = seeded(22);
  const limits = { directory, maxBytes: 2 ** 30, pace: { windowMs: 60_000, minBytes: 1 } };
  const server = createServer(async (incoming, response) => {
    const upload = await receiveUpload(incoming, limits, () => undefined);
    response.end(sha256(readFileSync(upload.file!.path)));
    await upload.discard();
  }).listen(0, '127.0.0.1');
  onTestFinished(() => void server.close());
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;

  const send = async (bytes: number): Promise<void> => {
    const value = content(bytes, random);
    const { body, headers } = multipart([{ name: 'file', value, fileName: 'a.wav' }]);
    const sent = request({ port, method: 'POST', headers: { ...headers, 'content-length': body.length } }).end(body);
    const [answer] = await once(sent, 'response');
    const text: Buffer[] = [];
    for await (const chunk of answer) text.push(chunk);
    expect(Buffer.concat(text).toString()).toBe(sha256(value));
  };
  await Promise.all([4, 65_536, 70_000, 1_150_000, 1_150_004, 3_000_000, 3_000_000, 8_000_000].map(send));
});

test('the memory of a chunk is free when it is written, unless other data shares it', async () => {
  const file = spool(temporaryHome(), () => undefined);
  const chunk = Buffer.from(new ArrayBuffer(65_536));
  const shared = Buffer.from(new ArrayBuffer(65_536)).subarray(0, 65_000);
  file.write(chunk);
  file.write(shared);
  expect(await file.close()).toBe(65_536 + 65_000);
  expect(chunk.buffer.byteLength).toBe(0);
  expect(shared.buffer.byteLength).toBe(65_536);
});

import { connect } from 'node:net';

/** Size of the largest body. */
const MAX_BYTES = 3_000_000;
const BOUNDARY = 'xxBOUNDARYxx';

/** An invalid request as raw bytes, and the number of bytes after which the client disconnects. */
export interface BadUpload {
  kind: string;
  bytes: Buffer;
  /** The client disconnects after this many bytes; null: it sends everything and waits for the answer. */
  leavesAfter: number | null;
}

type Body = (size: number, random: () => number) => Buffer;

const part = (headers: string, value: Buffer | string): Buffer =>
  Buffer.concat([Buffer.from(`--${BOUNDARY}\r\n${headers}\r\n\r\n`), Buffer.from(value), Buffer.from('\r\n')]);
const file = (size: number, name = 'file'): Buffer =>
  part(`content-disposition: form-data; name="${name}"; filename="a.wav"`, Buffer.alloc(size, 7));
const text = (name: string, value: string): Buffer => part(`content-disposition: form-data; name="${name}"`, value);
const last = Buffer.from(`--${BOUNDARY}--\r\n`);

/** Bodies with one fault each. */
const bodies: Record<string, Body> = {
  'last boundary without dashes': (size) => Buffer.concat([file(size), Buffer.from(`--${BOUNDARY}\r\n`)]),
  'no last boundary': (size) => file(size),
  'another last boundary': (size) => Buffer.concat([file(size), Buffer.from('--xxOTHERxx--\r\n')]),
  'half a last boundary': (size) => Buffer.concat([file(size), last.subarray(0, 8)]),
  'one dash': (size) => Buffer.concat([file(size), Buffer.from(`--${BOUNDARY}-`)]),
  'header without an end': (size) =>
    Buffer.concat([
      Buffer.from(`--${BOUNDARY}\r\ncontent-disposition: form-data; name="file"; filename="`),
      Buffer.alloc(size, 65),
      last,
    ]),
  'header cut short': (size) => Buffer.concat([file(size), Buffer.from(`--${BOUNDARY}\r\ncontent-dispos`)]),
  'header without a colon': (size) => Buffer.concat([part('nonsense', Buffer.alloc(size, 7)), last]),
  'nested multipart': (size) =>
    Buffer.concat([
      part(
        'content-disposition: form-data; name="file"\r\ncontent-type: multipart/mixed; boundary=yy',
        Buffer.alloc(size, 7),
      ),
      last,
    ]),
  'too many fields behind the file': (size) =>
    Buffer.concat([file(size), ...Array.from({ length: 300 }, (_, n) => text(`f${n}`, 'x')), last]),
  'too many fields before the file': (size) =>
    Buffer.concat([...Array.from({ length: 300 }, (_, n) => text(`f${n}`, 'x')), file(size), last]),
  'two files': (size) => Buffer.concat([file(size), file(size), last]),
  'no file': (size) => Buffer.concat([text('prompt', 'x'.repeat(size)), last]),
  'a file under another name': (size) => Buffer.concat([file(size, 'model'), last]),
  'an empty file': () => Buffer.concat([file(0), last]),
  'no audio': (size) => Buffer.concat([file(size), last]),
  'no part at all': () => last,
  noise: (size, random) => Buffer.from(Array.from({ length: Math.min(size, 5_000) }, () => Math.floor(random() * 256))),
  zeroes: (size) => Buffer.alloc(size),
  'only line ends': (size) => Buffer.alloc(size, '\r\n'),
  'only boundaries': (size) => Buffer.alloc(Math.min(size, 200_000), `--${BOUNDARY}\r\n`),
};
export const kinds: string[] = Object.keys(bodies);

/** The whole request with this body. `framing` says how the length is declared. */
export function rawUpload(body: Buffer, framing: 'length' | 'chunked' | 'too long' | 'too short' = 'length'): Buffer {
  const head = [
    'POST /v1/audio/transcriptions HTTP/1.1',
    'host: 127.0.0.1',
    'connection: close',
    `content-type: multipart/form-data; boundary=${BOUNDARY}`,
  ];
  if (framing === 'chunked') {
    const chunks = [Buffer.from(`${body.length.toString(16)}\r\n`), body, Buffer.from('\r\n0\r\n\r\n')];
    const all = body.length === 0 ? [Buffer.from('0\r\n\r\n')] : chunks;
    return Buffer.concat([Buffer.from(`${head.join('\r\n')}\r\ntransfer-encoding: chunked\r\n\r\n`), ...all]);
  }
  const difference = { length: 0, 'too long': 1000, 'too short': -Math.ceil(body.length / 3) }[framing];
  const length = body.length + difference;
  return Buffer.concat([Buffer.from(`${head.join('\r\n')}\r\ncontent-length: ${length}\r\n\r\n`), body]);
}

export function badBody(kind: string, size: number, random: () => number): Buffer {
  return bodies[kind]!(size, random);
}

/** The next request of a seeded sequence: any fault, any size (mostly small), any framing, with or without a disconnect. */
export function badUpload(random: () => number): BadUpload {
  const kind = kinds[Math.floor(random() * kinds.length)]!;
  const size = Math.floor(MAX_BYTES ** random());
  const framing = (['length', 'length', 'chunked', 'too short', 'too long'] as const)[Math.floor(random() * 5)]!;
  const bytes = rawUpload(badBody(kind, size, random), framing);
  // The server correctly waits for the rest of a body that is shorter than declared, so the client must disconnect.
  const leaves = framing === 'too long' || random() < 0.3;
  return { kind: `${kind}, ${framing}`, bytes, leavesAfter: leaves ? Math.floor(random() * bytes.length) : null };
}

/** Sends the request. Resolves with the status of the answer, or null if the client disconnects. */
export function sendRaw(port: number, { bytes, leavesAfter }: Omit<BadUpload, 'kind'>): Promise<number | null> {
  return new Promise((resolve, reject) => {
    const socket = connect(port, '127.0.0.1');
    let answer = '';
    socket.setEncoding('latin1');
    socket.on('data', (chunk: string) => (answer += chunk));
    socket.on('error', (error: NodeJS.ErrnoException) => {
      if (leavesAfter === null && answer === '') reject(error);
    });
    socket.on('close', () => resolve(leavesAfter === null ? Number(answer.split(' ')[1]) : null));
    if (leavesAfter === null) socket.write(bytes);
    else socket.write(bytes.subarray(0, leavesAfter), () => socket.destroy());
  });
}

/** Facts about an executable, read from its format without the code that made it. */
export interface Image {
  arch: 'x64' | 'arm64' | 'other';
  /** The resource in which Node looks for a program. */
  program: Buffer;
}

const LOAD = 1;
const NOTE = 4;
const X64 = 62;
const ARM64 = 183;

interface Header {
  type: number;
  offset: number;
  address: number;
  bytes: number;
}

export function readElf(image: Buffer): Image {
  const machine = image.readUInt16LE(18);
  const headers = programHeaders(image);
  const page = machine === ARM64 ? 0x10000 : 0x1000;
  const loads = headers.filter(({ type }) => type === LOAD);
  // ARM kernels have pages of up to 64 KiB, so a segment needs the same offset in the file as in memory.
  for (const { offset, address } of loads)
    if (offset % page !== address % page) throw new Error('a segment cannot be mapped on every kernel');
  for (const note of headers.filter(({ type }) => type === NOTE)) {
    const program = noteNamed(image.subarray(note.offset, note.offset + note.bytes), 'NODE_SEA_BLOB');
    const mapped = loads.some(
      ({ offset, bytes }) => offset <= note.offset && note.offset + note.bytes <= offset + bytes,
    );
    if (program && mapped) return { arch: machine === X64 ? 'x64' : machine === ARM64 ? 'arm64' : 'other', program };
  }
  throw new Error('the ELF file holds no program for Node');
}

function programHeaders(image: Buffer): Header[] {
  const at = Number(image.readBigUInt64LE(32));
  const [bytes, count] = [image.readUInt16LE(54), image.readUInt16LE(56)];
  return Array.from({ length: count }, (_, index) => {
    const header = image.subarray(at + index * bytes, at + (index + 1) * bytes);
    const [offset, address, size] = [8, 16, 32].map((field) => Number(header.readBigUInt64LE(field)));
    return { type: header.readUInt32LE(0), offset: offset!, address: address!, bytes: size! };
  });
}

function noteNamed(notes: Buffer, wanted: string): Buffer | null {
  for (let at = 0; at + 12 <= notes.length; ) {
    const [nameBytes, bytes] = [notes.readUInt32LE(at), notes.readUInt32LE(at + 4)];
    const content = at + 12 + Math.ceil(nameBytes / 4) * 4;
    const name = notes.toString('latin1', at + 12, at + 12 + nameBytes).replace(/\0+$/, '');
    if (name === wanted) return notes.subarray(content, content + bytes);
    at = content + Math.ceil(bytes / 4) * 4;
  }
  return null;
}

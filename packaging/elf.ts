/**
 * Adds a note to a 64-bit executable of Linux. Node finds the note through the program headers. The file has no room for
 * two more of them, so a copy of the table moves behind the old end of the file, followed by the note.
 */
const MAGIC = 0x7f454c46;
const CLASS_64 = 2;
const LITTLE_ENDIAN = 1;
const LOAD = 1;
const NOTE = 4;
const TABLE = 6;
const READ = 4;
const HEADER_BYTES = 56;
const NOTE_HEADER_BYTES = 12;

interface ProgramHeader {
  kind: number;
  flags: number;
  offset: number;
  address: number;
  bytes: number;
  memoryBytes: number;
  alignment: number;
}

export function withNote(image: Buffer, name: string, content: Buffer): Buffer {
  if (image.readUInt32BE(0) !== MAGIC || image[4] !== CLASS_64 || image[5] !== LITTLE_ENDIAN)
    throw new Error('this is not a 64-bit little-endian ELF file');
  const headers = programHeaders(image);
  const loads = headers.filter(({ kind }) => kind === LOAD);
  // Kernels before 5.18 tell a program the address of its table as if it lay in the first segment. So the new segment
  // keeps the distance between offset and address of the first one, and starts behind the memory of all others.
  const distance = loads[0]!.address - loads[0]!.offset;
  const alignment = Math.max(...loads.map((load) => load.alignment));
  const memoryEnd = Math.max(...loads.map(({ address, memoryBytes }) => address + memoryBytes));
  const start = aligned(Math.max(image.length, memoryEnd - distance), alignment);

  const tableBytes = (headers.length + 2) * HEADER_BYTES;
  const note = noteOf(name, content);
  const bytes = tableBytes + note.length;
  const at = (offset: number, bytes: number) => ({ offset, address: offset + distance, bytes, memoryBytes: bytes });
  const added = [
    { kind: LOAD, flags: READ, ...at(start, bytes), alignment },
    { kind: NOTE, flags: READ, ...at(start + tableBytes, note.length), alignment: 4 },
  ];
  const moved = headers.map((header) => (header.kind === TABLE ? { ...header, ...at(start, tableBytes) } : header));
  // Segments must be in the order of their addresses.
  moved.splice(moved.findLastIndex(({ kind }) => kind === LOAD) + 1, 0, ...added);

  const result = Buffer.alloc(start + bytes);
  image.copy(result);
  for (const [index, header] of moved.entries()) writeHeader(result, start + index * HEADER_BYTES, header);
  note.copy(result, start + tableBytes);
  result.writeBigUInt64LE(BigInt(start), 32);
  result.writeUInt16LE(moved.length, 56);
  return result;
}

function programHeaders(image: Buffer): ProgramHeader[] {
  const table = Number(image.readBigUInt64LE(32));
  return Array.from({ length: image.readUInt16LE(56) }, (_, index) => {
    const at = table + index * HEADER_BYTES;
    const number = (field: number): number => Number(image.readBigUInt64LE(at + field));
    return {
      ...{ kind: image.readUInt32LE(at), flags: image.readUInt32LE(at + 4), offset: number(8), address: number(16) },
      ...{ bytes: number(32), memoryBytes: number(40), alignment: number(48) },
    };
  });
}

function writeHeader(image: Buffer, at: number, header: ProgramHeader): void {
  const { kind, flags, offset, address, bytes, memoryBytes, alignment } = header;
  image.writeUInt32LE(kind, at);
  image.writeUInt32LE(flags, at + 4);
  // The physical address, which no system uses, repeats the address.
  for (const [index, value] of [offset, address, address, bytes, memoryBytes, alignment].entries())
    image.writeBigUInt64LE(BigInt(value), at + 8 + 8 * index);
}

function noteOf(name: string, content: Buffer): Buffer {
  const nameBytes = Buffer.byteLength(name) + 1;
  const contentAt = NOTE_HEADER_BYTES + aligned(nameBytes, 4);
  const note = Buffer.alloc(contentAt + aligned(content.length, 4));
  note.writeUInt32LE(nameBytes, 0);
  note.writeUInt32LE(content.length, 4);
  note.write(name, NOTE_HEADER_BYTES);
  content.copy(note, contentAt);
  return note;
}

function aligned(value: number, unit: number): number {
  return Math.ceil(value / unit) * unit;
}

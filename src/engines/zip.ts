import { promisify } from 'node:util';
import { inflateRaw } from 'node:zlib';

const inflate = promisify(inflateRaw);

/** Signatures of the records of a ZIP archive. */
const END = 0x06054b50;
const ENTRY = 0x02014b50;
/** Lengths of the fixed parts of the records, and of the longest comment after the end record. */
const END_LENGTH = 22;
const ENTRY_LENGTH = 46;
const LOCAL_LENGTH = 30;
const LONGEST_COMMENT = 0xffff;

/**
 * Extracts one member of a ZIP archive in memory; null where no member matches. Node has no ZIP reader, and a wheel is a
 * simple archive: not encrypted and below 4 GB. Throws for any other file.
 */
export async function zipMember(archive: Buffer, isWanted: (name: string) => boolean): Promise<Buffer | null> {
  const end = endOf(archive);
  let at = archive.readUInt32LE(end + 16);
  for (let left = archive.readUInt16LE(end + 10); left > 0; left -= 1) {
    if (archive.readUInt32LE(at) !== ENTRY) throw new Error('its directory is damaged');
    const [method, packed, size] = [at + 10, at + 20, at + 24].map((field, index) =>
      index === 0 ? archive.readUInt16LE(field) : archive.readUInt32LE(field),
    ) as [number, number, number];
    const [name, extra, comment] = [28, 30, 32].map((field) => archive.readUInt16LE(at + field)) as [
      number,
      number,
      number,
    ];
    if (isWanted(archive.toString('utf8', at + ENTRY_LENGTH, at + ENTRY_LENGTH + name))) {
      const local = archive.readUInt32LE(at + 42);
      const start = local + LOCAL_LENGTH + archive.readUInt16LE(local + 26) + archive.readUInt16LE(local + 28);
      const content = archive.subarray(start, start + packed);
      if (method === 0) return content;
      if (method !== 8) throw new Error(`its compression method is not supported (${method})`);
      return await inflate(content, { maxOutputLength: Math.max(size, 1) });
    }
    at += ENTRY_LENGTH + name + extra + comment;
  }
  return null;
}

function endOf(archive: Buffer): number {
  const first = Math.max(0, archive.length - END_LENGTH - LONGEST_COMMENT);
  for (let at = archive.length - END_LENGTH; at >= first; at -= 1) {
    if (archive.readUInt32LE(at) === END) return at;
  }
  throw new Error('it is not a ZIP archive');
}

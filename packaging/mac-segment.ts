import { MachO } from './macho.ts';

const SEGMENT = { kind: 0x19, bytes: 72 };
const SECTION_BYTES = 80;
const READ = 1;

/**
 * Adds a segment with one section to an unsigned executable for macOS, in front of __LINKEDIT, which must stay the last
 * segment. Content and offsets of __LINKEDIT move behind the new segment.
 */
export function withSegment(image: Buffer, name: string, sectionName: string, content: Buffer): Buffer {
  const last = new MachO(image).segment('__LINKEDIT');
  const bytes = new MachO(image).wholePages(content.length);
  const result = Buffer.alloc(image.length + bytes);
  image.copy(result, 0, 0, last.fileOffset);
  content.copy(result, last.fileOffset);
  image.copy(result, last.fileOffset + bytes, last.fileOffset);

  const machO = new MachO(result);
  machO.moveLinks(bytes);
  const command = machO.insertCommand(last.at, SEGMENT.bytes + SECTION_BYTES);
  command.writeUInt32LE(SEGMENT.kind, 0);
  command.writeUInt32LE(command.length, 4);
  command.write(name, 8);
  const places = [last.address, bytes, last.fileOffset, content.length];
  for (const [index, value] of places.entries()) command.writeBigUInt64LE(BigInt(value), 24 + 8 * index);
  // Highest and initial protection, and the number of sections.
  for (const [index, value] of [READ, READ, 1].entries()) command.writeUInt32LE(value, 56 + 4 * index);

  const section = command.subarray(SEGMENT.bytes);
  section.write(sectionName, 0);
  section.write(name, 16);
  section.writeBigUInt64LE(BigInt(last.address), 32);
  section.writeBigUInt64LE(BigInt(content.length), 40);
  section.writeUInt32LE(last.fileOffset, 48);
  return result;
}

import { expect, test } from 'vitest';
import { withNote } from '../../packaging/elf.ts';
import { readElf } from './elf.ts';

const BASE = 0x400000;

/** A program for x86-64 with one segment, which takes `memoryBytes` in memory, and the header of the table itself. */
function program(memoryBytes: number): Buffer {
  const image = Buffer.alloc(0x1800, 0xab);
  image.fill(0, 0, 64 + 2 * 56);
  image.write('\x7fELF\x02\x01\x01', 'latin1');
  image.writeUInt16LE(62, 18);
  image.writeBigUInt64LE(64n, 32);
  image.writeUInt16LE(56, 54);
  image.writeUInt16LE(2, 56);
  const headers = [
    { kind: 6, fields: [64, BASE + 64, BASE + 64, 112, 112, 8] },
    { kind: 1, fields: [0, BASE, BASE, image.length, memoryBytes, 0x1000] },
  ];
  for (const [index, { kind, fields }] of headers.entries()) {
    image.writeUInt32LE(kind, 64 + 56 * index);
    for (const [at, value] of fields.entries()) image.writeBigUInt64LE(BigInt(value), 72 + 56 * index + 8 * at);
  }
  return image;
}

test.each([0x1800, 0x9100])(
  'a note is added behind %i bytes of memory, and the file stays as it was',
  (memoryBytes) => {
    const content = Buffer.from('the program');
    const image = withNote(program(memoryBytes), 'NODE_SEA_BLOB', content);
    expect(readElf(image)).toEqual({ arch: 'x64', program: content });
    const [table, inFile] = [Number(image.readBigUInt64LE(32)), program(memoryBytes)];
    expect(image.subarray(64, inFile.length).equals(inFile.subarray(64))).toBe(true);
    // The first header describes the table, the third one the new segment, which starts with the table.
    for (const header of [table, table + 2 * 56]) {
      expect(Number(image.readBigUInt64LE(header + 8))).toBe(table);
      expect(Number(image.readBigUInt64LE(header + 16))).toBe(table + BASE);
    }
    expect(table).toBeGreaterThanOrEqual(Math.max(inFile.length, memoryBytes));
  },
);

test('a file of another format is refused', () => {
  expect(() => withNote(Buffer.alloc(64), 'NODE_SEA_BLOB', Buffer.alloc(8))).toThrow('not a 64-bit');
});

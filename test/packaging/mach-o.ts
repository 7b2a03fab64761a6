import { createHash } from 'node:crypto';
import { expect } from 'vitest';
import type { Image } from './elf.ts';

interface Command {
  kind: number;
  body: Buffer;
}

interface Segment {
  name: string;
  address: number;
  addressBytes: number;
  offset: number;
  bytes: number;
  body: Buffer;
}

export function readMachO(image: Buffer): Image {
  const program = segmentsOf(image).find(({ name }) => name === 'NODE_SEA');
  expect(program, 'the segment with the program').toBeDefined();
  // One section fills the segment: read its name and position.
  const section = program!.body.subarray(72);
  expect(nameAt(section, 0)).toBe('__NODE_SEA_BLOB');
  const [bytes, offset] = [Number(section.readBigUInt64LE(40)), section.readUInt32LE(48)];
  const kinds: Record<number, Image['arch']> = { 16777223: 'x64', 16777228: 'arm64' };
  return { arch: kinds[image.readUInt32LE(4)] ?? 'other', program: image.subarray(offset, offset + bytes) };
}

/** Checks what the kernel checks of segments and signature before it starts the file. */
export function expectSound(image: Buffer, identifier?: string): void {
  const segments = segmentsOf(image);
  for (const [index, { name, address, addressBytes, offset, bytes }] of segments.entries()) {
    const next = segments[index + 1];
    expect(addressBytes, name).toBeGreaterThanOrEqual(bytes);
    if (next) expect(next.address, name).toBeGreaterThanOrEqual(address + addressBytes);
    if (next && bytes > 0) expect(next.offset, name).toBeGreaterThanOrEqual(offset + bytes);
    const page = image.readUInt32LE(4) === 0x0100000c ? 0x4000 : 0x1000;
    for (const number of [address, addressBytes, offset]) expect(number % page, name).toBe(0);
  }
  const last = segments.at(-1)!;
  expect(last.name).toBe('__LINKEDIT');
  expect(last.offset + last.bytes).toBe(image.length);
  expectSigned(image, identifier);
}

/** Reads the signature according to Apple's cs_blobs.h, and computes the hash of every page again. */
export function expectSigned(image: Buffer, identifier?: string): void {
  const signatures = commandsOf(image).filter(({ kind }) => kind === 0x1d);
  expect(signatures).toHaveLength(1);
  const [at, room] = [signatures[0]!.body.readUInt32LE(8), signatures[0]!.body.readUInt32LE(12)];
  expect(at % 16).toBe(0);
  expect(at + room).toBe(image.length);

  const superBlob = image.subarray(at);
  expect(superBlob.readUInt32BE(0)).toBe(0xfade0cc0);
  expect(superBlob.readUInt32BE(4)).toBeLessThanOrEqual(room);
  expect(superBlob.readUInt32BE(8)).toBeGreaterThanOrEqual(1);
  // The first slot of the index is the code directory.
  expect(superBlob.readUInt32BE(12)).toBe(0);
  const directory = superBlob.subarray(superBlob.readUInt32BE(16));
  const number = (index: number) => directory.readUInt32BE(4 * index);
  const [hashesAt, nameAtByte, special, pages, end] = [4, 5, 6, 7, 8].map(number) as [
    ...[number, number, number, number, number],
  ];
  expect(number(0)).toBe(0xfade0c02);
  expect(number(1)).toBeGreaterThanOrEqual(hashesAt + 32 * pages);
  expect(number(1)).toBeLessThanOrEqual(superBlob.readUInt32BE(4) - superBlob.readUInt32BE(16));
  expect(number(2)).toBe(0x20400);
  expect(number(3) & 0x2, 'ad hoc').toBe(0x2);
  expect(end).toBe(at);
  expect([...directory.subarray(36, 40)]).toEqual([32, 2, 0, 12]);
  expect(nameAtByte).toBeGreaterThanOrEqual(88);
  expect(hashesAt).toBeGreaterThan(nameAtByte + special * 32);
  if (identifier) expect(directory.toString('utf8', nameAtByte, directory.indexOf(0, nameAtByte))).toBe(identifier);
  expect(pages).toBe(Math.ceil(end / 4096));
  const wrong = Array.from({ length: pages }, (_, page) => page).filter((page) => {
    const content = image.subarray(page * 4096, Math.min((page + 1) * 4096, end));
    const hash = createHash('sha256').update(content).digest();
    return !hash.equals(directory.subarray(hashesAt + 32 * page, hashesAt + 32 * (page + 1)));
  });
  expect(wrong, 'pages with another hash').toEqual([]);

  if (image.readUInt32LE(12) !== 2) return; // no executable but a library
  const text = segmentsOf(image).find(({ name }) => name === '__TEXT')!;
  const limits = [64, 72, 80].map((field) => Number(directory.readBigUInt64BE(field)));
  expect(limits).toEqual([text.offset, text.bytes, 1]);
}

function commandsOf(image: Buffer): Command[] {
  expect(image.readUInt32LE(0)).toBe(0xfeedfacf);
  const commands: Command[] = [];
  const [count, bytes] = [image.readUInt32LE(16), image.readUInt32LE(20)];
  let at = 32;
  for (let index = 0; index < count; index += 1) {
    const length = image.readUInt32LE(at + 4);
    commands.push({ kind: image.readUInt32LE(at), body: image.subarray(at, at + length) });
    at += length;
  }
  expect(at, 'the commands fill what the header says').toBe(32 + bytes);
  return commands;
}

function segmentsOf(image: Buffer): Segment[] {
  return commandsOf(image)
    .filter(({ kind }) => kind === 0x19)
    .map(({ body }) => {
      const [address, addressBytes, offset, bytes] = [24, 32, 40, 48].map((at) => Number(body.readBigUInt64LE(at)));
      const place = { address: address!, addressBytes: addressBytes!, offset: offset!, bytes: bytes! };
      return { name: nameAt(body, 8), ...place, body };
    });
}

function nameAt(buffer: Buffer, at: number): string {
  return buffer.toString('latin1', at, at + 16).replace(/\0+$/, '');
}

import { expect, test } from 'vitest';
import { signedAdHoc, withoutSignature } from '../../packaging/mac-signature.ts';
import { expectSound } from './mach-o.ts';

const PAGE = 0x4000;

/** A program for ARM with two segments, one section, and `linkBytes` of content in the last segment. */
function program({ linkBytes = 1000, firstSection = 0x1000 } = {}): Buffer {
  const image = Buffer.alloc(PAGE + linkBytes, 0xab);
  image.fill(0, 0, firstSection);
  const header = [0xfeedfacf, 0x0100000c, 0, 2, 2, 72 + 80 + 72, 0, 0];
  for (const [index, value] of header.entries()) image.writeUInt32LE(value, 4 * index);
  const segments = [
    { at: 32, name: '__TEXT', offset: 0, bytes: PAGE, sections: 1 },
    { at: 184, name: '__LINKEDIT', offset: PAGE, bytes: linkBytes, sections: 0 },
  ];
  for (const { at, name, offset, bytes, sections } of segments) {
    image.writeUInt32LE(0x19, at);
    image.writeUInt32LE(72 + 80 * sections, at + 4);
    image.write(name, at + 8);
    const places = [offset, Math.ceil(bytes / PAGE) * PAGE, offset, bytes];
    for (const [index, value] of places.entries()) image.writeBigUInt64LE(BigInt(value), at + 24 + 8 * index);
    image.writeUInt32LE(sections, at + 64);
  }
  image.writeUInt32LE(firstSection, 32 + 72 + 48);
  return image;
}

test.each([0, 1, 15, 16, 1000, 4096, 70_000])('a program with %i bytes at its end is signed', (linkBytes) => {
  const signed = signedAdHoc(program({ linkBytes }), 'asrpro');
  expectSound(signed, 'asrpro');
});

test('a signature is removed completely, and a changed program gets a new one', () => {
  const image = program({ linkBytes: 4096 });
  expect(withoutSignature(signedAdHoc(program({ linkBytes: 4096 }), 'theirs')).equals(image)).toBe(true);
  expect(withoutSignature(program()).equals(program())).toBe(true);
  const signed = signedAdHoc(image, 'asrpro');
  signed[PAGE] = 0;
  expect(() => expectSound(signed)).toThrow('pages with another hash');
});

test('a file that cannot be signed is refused', () => {
  expect(() => signedAdHoc(program({ firstSection: 260 }), 'asrpro')).toThrow('no room for a signature');
  expect(() => signedAdHoc(Buffer.concat([program(), Buffer.alloc(8)]), 'asrpro')).toThrow('not at the end');
  expect(() => signedAdHoc(Buffer.from('MZ not for a Mac'), 'asrpro')).toThrow('not a 64-bit Mach-O');
});

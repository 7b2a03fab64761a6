/**
 * Signs executables for macOS ad hoc, without an identity: Macs with Apple silicon start no unsigned program, and Apple's own
 * tool runs only on macOS. As from Apple's linker, the signature is one code directory with the SHA-256 of each page; its
 * numbers are big-endian (xnu: osfmk/kern/cs_blobs.h).
 */
import { createHash } from 'node:crypto';
import { MachO } from './macho.ts';

const PAGE_BITS = 12;
const HASH_BYTES = 32;
const SUPER_BLOB = { magic: 0xfade0cc0, bytes: 20 };
/** Since version 0x20400 the directory states which part of the file is the main program. */
const DIRECTORY = { magic: 0xfade0c02, version: 0x20400, bytes: 88 };
const AD_HOC = 0x2;
const SHA256 = 2;
const MAIN_BINARY = 1n;

/** Removes the original signature, which does not match a changed file. */
export function withoutSignature(image: Buffer): Buffer {
  const machO = new MachO(image);
  const signature = machO.signature();
  if (signature === null) return image;
  if (signature.fileOffset + signature.bytes !== image.length)
    throw new Error('the signature is not at the end of the file');
  machO.removeSignatureCommand(signature.at);
  machO.endAt(signature.fileOffset);
  return image.subarray(0, signature.fileOffset);
}

/** Appends an ad-hoc signature to the image. */
export function signedAdHoc(image: Buffer, identifier: string): Buffer {
  const last = new MachO(image).segment('__LINKEDIT');
  if (last.fileOffset + last.fileBytes !== image.length) throw new Error('__LINKEDIT is not at the end of the file');
  const codeBytes = Math.ceil(image.length / 16) * 16;
  const pages = Math.ceil(codeBytes / 2 ** PAGE_BITS);
  const hashesAt = DIRECTORY.bytes + Buffer.byteLength(identifier) + 1;
  const bytes = SUPER_BLOB.bytes + hashesAt + pages * HASH_BYTES;

  const signed = Buffer.alloc(codeBytes + Math.ceil(bytes / 16) * 16);
  image.copy(signed);
  const machO = new MachO(signed);
  machO.addSignatureCommand(codeBytes, signed.length - codeBytes);
  machO.endAt(signed.length);

  const program = machO.segment('__TEXT');
  const superBlob = [SUPER_BLOB.magic, bytes, 1, 0, SUPER_BLOB.bytes];
  const directory = [
    ...[DIRECTORY.magic, bytes - SUPER_BLOB.bytes, DIRECTORY.version, AD_HOC],
    ...[hashesAt, DIRECTORY.bytes, 0, pages, codeBytes],
    ((HASH_BYTES << 24) | (SHA256 << 16) | PAGE_BITS) >>> 0,
  ];
  for (const [index, value] of [...superBlob, ...directory].entries())
    signed.writeUInt32BE(value, codeBytes + 4 * index);
  const at = codeBytes + SUPER_BLOB.bytes;
  // The fields in between (scatter list, team, sizes above 4 GB) stay 0.
  for (const [index, value] of [BigInt(program.fileOffset), BigInt(program.fileBytes), MAIN_BINARY].entries())
    signed.writeBigUInt64BE(value, at + 64 + 8 * index);
  signed.write(identifier, at + DIRECTORY.bytes);
  for (let page = 0; page < pages; page += 1) {
    const content = signed.subarray(page << PAGE_BITS, Math.min((page + 1) << PAGE_BITS, codeBytes));
    createHash('sha256')
      .update(content)
      .digest()
      .copy(signed, at + hashesAt + page * HASH_BYTES);
  }
  return signed;
}

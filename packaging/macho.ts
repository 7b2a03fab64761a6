/**
 * The parts of Apple's executable format that a new segment and a signature need, for 64-bit files of one architecture. The commands after the
 * header say where each segment lies. The last segment, __LINKEDIT, ends with the file and contains the signature.
 */
const MAGIC = 0xfeedfacf;
const HEADER_BYTES = 32;
const SEGMENT = 0x19;
const CODE_SIGNATURE = 0x1d;
const SIGNATURE_COMMAND_BYTES = 16;
const ARM64 = 0x0100000c;
/** The fields of each kind of command that are offsets into __LINKEDIT. An unknown kind could have such fields too. */
const LINK_OFFSETS: Record<number, readonly number[]> = {
  2147483682: [8, 16, 24, 32, 40], // LC_DYLD_INFO_ONLY
  2: [8, 16], // LC_SYMTAB
  11: [32, 40, 48, 56, 64, 72], // LC_DYSYMTAB
  38: [8], // LC_FUNCTION_STARTS
  41: [8], // LC_DATA_IN_CODE
  [SEGMENT]: [],
  12: [], // LC_LOAD_DYLIB
  14: [], // LC_LOAD_DYLINKER
  27: [], // LC_UUID
  42: [], // LC_SOURCE_VERSION
  50: [], // LC_BUILD_VERSION
  2147483688: [], // LC_MAIN
};

interface Segment {
  name: string;
  /** Offset of its command in the file. */
  at: number;
  address: number;
  fileOffset: number;
  fileBytes: number;
}

/** Reads and changes the commands of an image in place. */
export class MachO {
  readonly image: Buffer;

  constructor(image: Buffer) {
    if (image.readUInt32LE(0) !== MAGIC) throw new Error('this is not a 64-bit Mach-O file of one architecture');
    this.image = image;
  }

  get #commandBytes(): number {
    return this.image.readUInt32LE(20);
  }

  *#commands(): Generator<{ kind: number; at: number; bytes: number }> {
    for (let at = HEADER_BYTES; at < HEADER_BYTES + this.#commandBytes; ) {
      const bytes = this.image.readUInt32LE(at + 4);
      yield { kind: this.image.readUInt32LE(at), at, bytes };
      at += bytes;
    }
  }

  segment(name: string): Segment {
    for (const { kind, at } of this.#commands()) {
      if (kind !== SEGMENT || text(this.image.subarray(at + 8, at + 24)) !== name) continue;
      const [address, fileOffset, fileBytes] = [24, 40, 48].map((field) =>
        Number(this.image.readBigUInt64LE(at + field)),
      );
      return { name, at, address: address!, fileOffset: fileOffset!, fileBytes: fileBytes! };
    }
    throw new Error(`the Mach-O file has no segment ${name}`);
  }

  /** Position of the signature; null where there is none. */
  signature(): { at: number; fileOffset: number; bytes: number } | null {
    for (const { kind, at } of this.#commands())
      if (kind === CODE_SIGNATURE)
        return { at, fileOffset: this.image.readUInt32LE(at + 8), bytes: this.image.readUInt32LE(at + 12) };
    return null;
  }

  /** The number of bytes, rounded up to whole pages. */
  wholePages(bytes: number): number {
    const page = this.image.readUInt32LE(4) === ARM64 ? 0x4000 : 0x1000;
    return Math.ceil(bytes / page) * page;
  }

  /** Sets the end of __LINKEDIT to the new end of the file. */
  endAt(end: number): void {
    const { at, fileOffset } = this.segment('__LINKEDIT');
    const bytes = end - fileOffset;
    this.image.writeBigUInt64LE(BigInt(this.wholePages(bytes)), at + 32);
    this.image.writeBigUInt64LE(BigInt(bytes), at + 48);
  }

  /** Changes the commands as if the content of __LINKEDIT had moved by `bytes`, in the file and in memory. */
  moveLinks(bytes: number): void {
    for (const { kind, at } of this.#commands()) {
      const fields = LINK_OFFSETS[kind];
      if (fields === undefined) throw new Error(`the Mach-O file has a command of the unknown kind ${kind}`);
      for (const field of fields) {
        const offset = this.image.readUInt32LE(at + field);
        if (offset > 0) this.image.writeUInt32LE(offset + bytes, at + field);
      }
    }
    const { at, address, fileOffset } = this.segment('__LINKEDIT');
    this.image.writeBigUInt64LE(BigInt(address + bytes), at + 24);
    this.image.writeBigUInt64LE(BigInt(fileOffset + bytes), at + 40);
  }

  addSignatureCommand(fileOffset: number, bytes: number): void {
    const command = this.insertCommand(HEADER_BYTES + this.#commandBytes, SIGNATURE_COMMAND_BYTES);
    for (const [index, value] of [CODE_SIGNATURE, SIGNATURE_COMMAND_BYTES, fileOffset, bytes].entries())
      command.writeUInt32LE(value, 4 * index);
  }

  /** Makes room for a command in front of the one at `at`. Returns the room, filled with zeros. */
  insertCommand(at: number, bytes: number): Buffer {
    const end = HEADER_BYTES + this.#commandBytes;
    if (end + bytes > this.#firstSection()) throw new Error('the header has no room for another command');
    this.image.copyWithin(at + bytes, at, end);
    this.#countCommands(1, bytes);
    return this.image.subarray(at, at + bytes).fill(0);
  }

  removeSignatureCommand(at: number): void {
    const end = HEADER_BYTES + this.#commandBytes;
    this.image.copyWithin(at, at + SIGNATURE_COMMAND_BYTES, end);
    this.image.fill(0, end - SIGNATURE_COMMAND_BYTES, end);
    this.#countCommands(-1, -SIGNATURE_COMMAND_BYTES);
  }

  #countCommands(change: number, bytes: number): void {
    this.image.writeUInt32LE(this.image.readUInt32LE(16) + change, 16);
    this.image.writeUInt32LE(this.#commandBytes + bytes, 20);
  }

  /** File offset of the first section; the commands must end before it. */
  #firstSection(): number {
    const offsets: number[] = [];
    for (const { kind, at } of this.#commands()) {
      if (kind !== SEGMENT) continue;
      const sections = this.image.readUInt32LE(at + 64);
      for (let index = 0; index < sections; index += 1)
        offsets.push(this.image.readUInt32LE(at + 72 + 80 * index + 48));
    }
    return Math.min(...offsets.filter((offset) => offset > 0));
  }
}

function text(field: Buffer): string {
  return field.toString('latin1').replace(/\0+$/, '');
}

/**
 * The parts of Apple's executable format that signing needs, for 64-bit files of one architecture. The commands after the
 * header say where each segment lies. The last segment, __LINKEDIT, ends with the file and contains the signature.
 */
const MAGIC = 0xfeedfacf;
const HEADER_BYTES = 32;
const SEGMENT = 0x19;
const CODE_SIGNATURE = 0x1d;
const SIGNATURE_COMMAND_BYTES = 16;
const ARM64 = 0x0100000c;

interface Segment {
  name: string;
  /** Offset of its command in the file. */
  at: number;
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
      const [fileOffset, fileBytes] = [40, 48].map((field) => Number(this.image.readBigUInt64LE(at + field)));
      return { name, at, fileOffset: fileOffset!, fileBytes: fileBytes! };
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

  /** Sets the end of __LINKEDIT to the new end of the file. */
  endAt(end: number): void {
    const { at, fileOffset } = this.segment('__LINKEDIT');
    const page = this.image.readUInt32LE(4) === ARM64 ? 0x4000 : 0x1000;
    const bytes = end - fileOffset;
    this.image.writeBigUInt64LE(BigInt(Math.ceil(bytes / page) * page), at + 32);
    this.image.writeBigUInt64LE(BigInt(bytes), at + 48);
  }

  addSignatureCommand(fileOffset: number, bytes: number): void {
    const at = HEADER_BYTES + this.#commandBytes;
    if (at + SIGNATURE_COMMAND_BYTES > this.#firstSection()) throw new Error('the header has no room for a signature');
    const command = [CODE_SIGNATURE, SIGNATURE_COMMAND_BYTES, fileOffset, bytes];
    for (const [index, value] of command.entries()) this.image.writeUInt32LE(value, at + 4 * index);
    this.#countCommands(1);
  }

  removeSignatureCommand(at: number): void {
    const end = HEADER_BYTES + this.#commandBytes;
    this.image.copyWithin(at, at + SIGNATURE_COMMAND_BYTES, end);
    this.image.fill(0, end - SIGNATURE_COMMAND_BYTES, end);
    this.#countCommands(-1);
  }

  #countCommands(change: number): void {
    this.image.writeUInt32LE(this.image.readUInt32LE(16) + change, 16);
    this.image.writeUInt32LE(this.#commandBytes + change * SIGNATURE_COMMAND_BYTES, 20);
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

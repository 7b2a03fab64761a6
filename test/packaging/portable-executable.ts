import type { Image } from './elf.ts';

const RAW_DATA = 10;
const VERSION = 16;
const CONSOLE = 3;

export interface WindowsImage extends Image {
  console: boolean;
  /** Bytes of the signature's table; 0 where there is none. */
  signatureBytes: number;
  version: Record<string, string>;
  types: number[];
}

/** Reads the headers and the tree of resources, whose levels are type, name and language. */
export function readPortableExecutable(image: Buffer): WindowsImage {
  const header = image.readUInt32LE(0x3c);
  const optional = image.subarray(header + 24);
  const sections = header + 24 + image.readUInt16LE(header + 20);
  const directory = (index: number) => [optional.readUInt32LE(112 + 8 * index), optional.readUInt32LE(116 + 8 * index)];
  const offsetOf = (address: number): number => {
    for (let index = 0; index < image.readUInt16LE(header + 6); index += 1) {
      const section = image.subarray(sections + 40 * index);
      const [bytes, start, offset] = [16, 12, 20].map((field) => section.readUInt32LE(field)) as [
        number,
        number,
        number,
      ];
      if (address >= start && address < start + bytes) return address - start + offset;
    }
    throw new Error(`no section of the file holds ${address}`);
  };
  const root = offsetOf(directory(2)[0]!);
  const entries = (at: number): [number, number][] =>
    Array.from({ length: image.readUInt16LE(at + 12) + image.readUInt16LE(at + 14) }, (_, index) => [
      image.readUInt32LE(at + 16 + 8 * index),
      root + (image.readUInt32LE(at + 20 + 8 * index) & 0x7fffffff),
    ]);
  /** Name and content of the first resource of a type. */
  const resource = (type: number): { name: string; content: Buffer } => {
    const [id, languages] = entries(entries(root).find(([number]) => number === type)![1])[0]!;
    const leaf = entries(languages)[0]![1];
    const content = offsetOf(image.readUInt32LE(leaf));
    const nameAt = root + (id & 0x7fffffff);
    const name =
      id & 0x80000000 ? image.toString('utf16le', nameAt + 2, nameAt + 2 + 2 * image.readUInt16LE(nameAt)) : '';
    return { name, content: image.subarray(content, content + image.readUInt32LE(leaf + 4)) };
  };
  const program = resource(RAW_DATA);
  if (program.name !== 'NODE_SEA_BLOB') throw new Error(`the program is named ${program.name}`);
  const machine = image.readUInt16LE(header + 4);
  return {
    arch: machine === 0x8664 ? 'x64' : machine === 0xaa64 ? 'arm64' : 'other',
    program: program.content,
    console: optional.readUInt16LE(68) === CONSOLE,
    signatureBytes: directory(4)[1]!,
    version: strings(resource(VERSION).content),
    types: entries(root).map(([type]) => type),
  };
}

/** Names and values of the strings of a version resource with one table. */
function strings(content: Buffer): Record<string, string> {
  const found: Record<string, string> = {};
  const aligned = (at: number) => Math.ceil(at / 4) * 4;
  const textAt = (at: number) => content.toString('utf16le', at).split('\0')[0]!;
  let at = content.indexOf(Buffer.from('StringFileInfo', 'utf16le')) - 6;
  at = aligned(at + 6 + 30); // its one table, whose key is the language
  const end = at + content.readUInt16LE(at);
  for (at = aligned(at + 6 + 18); at < end; at = aligned(at + content.readUInt16LE(at))) {
    const name = textAt(at + 6);
    found[name] = textAt(aligned(at + 6 + 2 * (name.length + 1)));
  }
  return found;
}

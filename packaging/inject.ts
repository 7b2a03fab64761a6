import { readFileSync, writeFileSync } from 'node:fs';
import { withNote } from './elf.ts';
import { withSegment } from './mac-segment.ts';
import { signedAdHoc, withoutSignature } from './mac-signature.ts';
import { executableName, type Target } from './targets.ts';
import { withResources } from './windows-resources.ts';

/** The resource in which Node looks for a program inside its own executable. */
const RESOURCE = 'NODE_SEA_BLOB';
const MAC_SEGMENT = 'NODE_SEA';
/** Node looks for a program only if the digit after this text is 1. */
const FUSE = 'NODE_SEA_FUSE_fce680ab2cc467b6e072b8b5df1996b2:';

export interface Identity {
  name: string;
  description: string;
  version: string;
  copyright: string;
}

/**
 * Injects the program (a blob that Node has built) into the target's Node. Both are paths of files. Signs the result for
 * macOS, which does not start unsigned programs.
 */
export function injectProgram(node: string, target: Target, program: string, identity: Identity): void {
  const image = withProgram(readFileSync(node), target, readFileSync(program), identity);
  blowFuse(image);
  writeFileSync(node, target.platform === 'darwin' ? signedAdHoc(image, identity.name) : image);
}

function withProgram(image: Buffer, target: Target, content: Buffer, identity: Identity): Buffer {
  switch (target.platform) {
    case 'linux':
      return withNote(image, RESOURCE, content);
    case 'darwin':
      return withSegment(withoutSignature(image), MAC_SEGMENT, `__${RESOURCE}`, content);
    case 'win32':
      return withResources(image, { name: RESOURCE, content }, { ...identity, file: executableName(target) });
  }
}

function blowFuse(image: Buffer): void {
  const at = image.indexOf(FUSE);
  if (at === -1 || image.indexOf(FUSE, at + 1) !== -1) throw new Error('Node has not exactly one fuse for a program');
  image.write('1', at + FUSE.length, 'latin1');
}

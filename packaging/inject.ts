import { readFileSync, writeFileSync } from 'node:fs';
import { inject } from 'postject';
import { signedAdHoc, withoutSignature } from './mac-signature.ts';
import { executableName, type Target } from './targets.ts';
import { withResources } from './windows-resources.ts';

/** Where Node looks for a program inside itself. */
const RESOURCE = 'NODE_SEA_BLOB';
const MAC_SEGMENT = 'NODE_SEA';
/** Node looks only when the digit after it is 1. */
const FUSE = 'NODE_SEA_FUSE_fce680ab2cc467b6e072b8b5df1996b2:';

export interface Identity {
  name: string;
  description: string;
  version: string;
  copyright: string;
}

/** Puts the program into the target's Node, in the file itself, signed where the platform starts nothing unsigned. */
export async function injectProgram(file: string, target: Target, program: Buffer, identity: Identity): Promise<void> {
  const options = { sentinelFuse: FUSE.slice(0, -1) };
  switch (target.platform) {
    case 'linux':
      return await inject(file, RESOURCE, program, options);
    case 'darwin':
      writeFileSync(file, withoutSignature(readFileSync(file)));
      await inject(file, RESOURCE, program, { ...options, machoSegmentName: MAC_SEGMENT });
      return writeFileSync(file, signedAdHoc(readFileSync(file), identity.name));
    case 'win32': {
      const shown = { ...identity, file: executableName(target) };
      const image = withResources(readFileSync(file), { name: RESOURCE, content: program }, shown);
      blowFuse(image);
      return writeFileSync(file, image);
    }
  }
}

function blowFuse(image: Buffer): void {
  const at = image.indexOf(FUSE);
  if (at === -1 || image.indexOf(FUSE, at + 1) !== -1) throw new Error('Node has not exactly one fuse for a program');
  image.write('1', at + FUSE.length, 'latin1');
}

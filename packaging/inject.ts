import { readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { execa } from 'execa';
import { signedAdHoc, withoutSignature } from './mac-signature.ts';
import { root } from './places.ts';
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
export async function injectProgram(node: string, target: Target, program: string, identity: Identity): Promise<void> {
  switch (target.platform) {
    case 'linux':
      return await postject(node, program);
    case 'darwin':
      writeFileSync(node, withoutSignature(readFileSync(node)));
      await postject(node, program, '--macho-segment-name', MAC_SEGMENT);
      return writeFileSync(node, signedAdHoc(readFileSync(node), identity.name));
    case 'win32': {
      const shown = { ...identity, file: executableName(target) };
      const image = withResources(readFileSync(node), { name: RESOURCE, content: readFileSync(program) }, shown);
      blowFuse(image);
      return writeFileSync(node, image);
    }
  }
}

/** Runs postject in its own process, because it prints harmless warnings about Node's sections. */
async function postject(node: string, program: string, ...more: string[]): Promise<void> {
  const cli = path.join(root, 'node_modules', 'postject', 'dist', 'cli.js');
  await execa(process.execPath, [cli, node, RESOURCE, program, '--sentinel-fuse', FUSE.slice(0, -1), ...more]);
}

function blowFuse(image: Buffer): void {
  const at = image.indexOf(FUSE);
  if (at === -1 || image.indexOf(FUSE, at + 1) !== -1) throw new Error('Node has not exactly one fuse for a program');
  image.write('1', at + FUSE.length, 'latin1');
}

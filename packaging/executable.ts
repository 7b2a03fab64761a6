import { copyFileSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { chmod, mkdir } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { type Identity, injectProgram } from './inject.ts';
import { dist, root } from './places.ts';
import { makeStandalone } from './standalone.ts';
import { nodeOf } from './target-node.ts';
import { executableName, type Target } from './targets.ts';

/** Builds the executable for a target on any machine. Returns its path. */
export async function buildExecutable(
  target: Target,
  options: { snapshot?: boolean; uv?: boolean; into?: string } = {},
): Promise<string> {
  const { into = dist } = options;
  const file = path.join(into, executableName(target));
  const folder = mkdtempSync(path.join(os.tmpdir(), 'asrpro-build-'));
  try {
    const program = await makeStandalone(target, folder, options);
    await mkdir(into, { recursive: true });
    copyFileSync(await nodeOf(target), file);
    await chmod(file, 0o755);
    await injectProgram(file, target, program, identity());
  } finally {
    rmSync(folder, { recursive: true });
  }
  return file;
}

function identity(): Identity {
  const { name, version } = JSON.parse(readFileSync(path.join(root, 'package.json'), 'utf8')) as Identity;
  return { name, version, description: name, copyright: 'MIT licence' };
}

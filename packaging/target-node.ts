import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync } from 'node:fs';
import path from 'node:path';
import envPaths from 'env-paths';
import { execa } from 'execa';
import { hostTarget, nodeVersion, type Target, targets } from './targets.ts';

const cache = path.join(envPaths('asrpro-build', { suffix: '' }).cache, `node-${nodeVersion}`);

/** The target's Node from its npm package, which is fetched once per version. */
export async function nodeOf(target: Target): Promise<string> {
  const program = path.join('bin', target.platform === 'win32' ? 'node.exe' : 'node');
  return path.join(await unpackedPackage(target), program);
}

/** The targets' version of Node for this machine. It builds the blob for all targets. */
export async function hostNode(): Promise<string> {
  return await nodeOf(hostTarget());
}

/** Node's licence file, which includes the licences of its own dependencies. The packages for Windows lack it. */
export async function nodeLicence(): Promise<string> {
  const [withLicence] = targets.filter(({ platform }) => platform !== 'win32');
  const source = process.platform === 'win32' ? withLicence! : hostTarget();
  return readFileSync(path.join(await unpackedPackage(source), 'LICENSE'), 'utf8');
}

async function unpackedPackage(target: Target): Promise<string> {
  const folder = path.join(cache, target.triple);
  if (!existsSync(folder)) await fetchPackage(target, folder);
  return path.join(folder, 'package');
}

/** Unpacks beside the final folder and renames, so that it is always complete, even if two builds fetch at once. */
async function fetchPackage({ nodePackage, integrity }: Target, folder: string): Promise<void> {
  const building = `${folder}.${process.pid}`;
  mkdirSync(building, { recursive: true });
  try {
    await execa('npm', ['pack', '--silent', `${nodePackage}@${nodeVersion}`], { cwd: building });
    const [tarball] = readdirSync(building);
    if (tarball === undefined) throw new Error(`npm fetched nothing for ${nodePackage}@${nodeVersion}`);
    const digest = createHash('sha512').update(readFileSync(path.join(building, tarball)));
    if (`sha512-${digest.digest('base64')}` !== integrity)
      throw new Error(`${nodePackage}@${nodeVersion} is not the package that packaging/targets.ts names by its hash`);
    await execa('tar', ['-xzf', tarball], { cwd: building });
    rmSync(path.join(building, tarball));
    if (!existsSync(folder)) renameSync(building, folder);
  } finally {
    rmSync(building, { recursive: true, force: true });
  }
}

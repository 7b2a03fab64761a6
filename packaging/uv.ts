import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import envPaths from 'env-paths';
import { execa } from 'execa';
import { findPython } from '../src/engines/find-python.ts';
import { UV_VERSION, uvWheel } from '../src/engines/uv-wheel.ts';
import { zipMember } from '../src/engines/zip.ts';
import type { Target } from './targets.ts';

const cache = path.join(envPaths('asrpro-build', { suffix: '' }).cache, `uv-${UV_VERSION}`);

/** uv's wheel for the target, fetched once with this machine's pip, which knows the package index. */
export async function uvOf({ platform, arch, triple }: Target): Promise<string> {
  const wheel = uvWheel(platform, arch);
  if (wheel === null) throw new Error(`there is no uv for ${triple}; build with --no-uv`);
  const file = path.join(cache, wheel.file);
  if (!existsSync(file)) await fetch(wheel.file, wheel.sha256, file);
  const sha256 = createHash('sha256').update(readFileSync(file)).digest('hex');
  if (sha256 !== wheel.sha256) throw new Error(`${file} is damaged; delete it`);
  return file;
}

/** uv's licence, from the wheel for the target. */
export async function uvLicence(target: Target): Promise<string> {
  const wheel = readFileSync(await uvOf(target));
  const text = await zipMember(wheel, (name) => name.endsWith('/licenses/LICENSE-MIT'));
  if (text === null) throw new Error(`the wheel of uv ${UV_VERSION} contains no licence`);
  return `uv ${UV_VERSION}\n\n${text.toString('utf8')}`;
}

/** Fetches beside the final path and renames, so that two builds can fetch at once. */
async function fetch(name: string, sha256: string, file: string): Promise<void> {
  const building = `${file}.${process.pid}`;
  mkdirSync(building, { recursive: true });
  try {
    const { command, args } = await findPython(null);
    const requirement = path.join(building, 'requirements.txt');
    writeFileSync(requirement, `uv==${UV_VERSION} --hash=sha256:${sha256}\n`);
    const tag = /-none-([^.]+)/.exec(name)![1]!;
    const which = ['--platform', tag, '--only-binary', ':all:', '--no-deps', '--require-hashes'];
    const download = ['-m', 'pip', 'download', '--quiet', '--disable-pip-version-check', ...which];
    await execa(command, [...args, ...download, '--dest', building, '--requirement', requirement]);
    renameSync(path.join(building, name), file);
  } finally {
    rmSync(building, { recursive: true, force: true });
  }
}

import { randomBytes } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { take } from '../claims/claim.mjs';
import { removeIfUnused } from '../claims/unused.ts';
import { onDisk, type Place } from '../disk-error.ts';
import { AsrproError } from '../errors.ts';
import { fetchWheel } from './index-client.ts';
import { isWorkingUv } from './uv.ts';
import { isExecutable, packedUv } from './uv-packed.ts';
import { hostUvWheel, UV_VERSION } from './uv-wheel.ts';
import { zipMember } from './zip.ts';

const PROGRAM = process.platform === 'win32' ? 'uv.exe' : 'uv';

export interface UvProgram {
  file: string;
  /** Decides which Pythons it may use: the user's own uv knows the ones that the user installed with it. */
  origin: 'shipped' | 'user' | 'fetched';
}

/** Looks for uv beside the executable, where an app ships it; then on PATH; then for one that asrpro fetched before. */
export async function findUv(
  engines: string,
  environment: NodeJS.ProcessEnv,
  signal?: AbortSignal,
): Promise<UvProgram | null> {
  const candidates: UvProgram[] = [
    ...((await isExecutable())
      ? [{ file: path.join(path.dirname(process.execPath), PROGRAM), origin: 'shipped' } as const]
      : []),
    { file: 'uv', origin: 'user' },
    { file: fetchedUv(engines), origin: 'fetched' },
  ];
  for (const uv of candidates) {
    if (path.isAbsolute(uv.file) && !existsSync(uv.file)) continue;
    if (await isWorkingUv(uv.file, environment, signal)) return uv;
  }
  return null;
}

/**
 * Arguments and variables for uv to install a Python. A uv of asrpro keeps its Pythons with the engines, where no other
 * program uses or removes them. The user's own uv may use a Python that it already has.
 */
export function managedPython(
  { origin }: UvProgram,
  engines: string,
  { UV_PYTHON_INSTALL_DIR }: NodeJS.ProcessEnv,
): { args: string[]; environment: NodeJS.ProcessEnv } {
  if (origin === 'user') return { args: [], environment: {} };
  const folder = UV_PYTHON_INSTALL_DIR ?? path.join(engines, 'python');
  return { args: ['--managed-python'], environment: { UV_PYTHON_INSTALL_DIR: folder } };
}

export interface FetchUv {
  /** The folder of all engines. */
  engines: string;
  place: Place;
  environment: NodeJS.ProcessEnv;
  signal: AbortSignal;
  onStep(step: 'unpacking' | 'fetching'): void;
}

/**
 * Unpacks or fetches the pinned uv, once for all engines. Throws `engine_install_failed`, whose message is the end of a
 * sentence, `disk_full`, `folder_unusable`, `engine_install_cancelled`.
 */
export async function fetchUv({ engines, place, environment, signal, onStep }: FetchUv): Promise<UvProgram> {
  const uv: UvProgram = { file: fetchedUv(engines), origin: 'fetched' };
  const claim = await onDisk(place, () => take(path.join(engines, 'uv.claim'), { signal }));
  try {
    // Another installation may have fetched it while this one waited.
    if (existsSync(uv.file) && (await isWorkingUv(uv.file, environment, signal))) return uv;
    const content = await programFor({ environment, signal, onStep });
    await onDisk(place, () => {
      const folder = path.dirname(uv.file);
      const building = `${folder}.${randomBytes(4).toString('hex')}`;
      mkdirSync(building);
      writeFileSync(path.join(building, PROGRAM), content, { mode: 0o755, flush: true });
      rmSync(folder, { recursive: true, force: true });
      renameSync(building, folder);
    });
    for (const name of readdirSync(engines)) {
      if (/^uv-\d/.test(name) && name !== path.basename(path.dirname(uv.file))) {
        await removeIfUnused(path.join(engines, name));
      }
    }
  } finally {
    claim.release();
  }
  if (await isWorkingUv(uv.file, environment, signal)) return uv;
  throw new AsrproError('engine_install_failed', 'the fetched uv does not run on this machine', {
    hint: 'A virus scanner may have blocked it.',
  });
}

function fetchedUv(engines: string): string {
  return path.join(engines, `uv-${UV_VERSION}`, PROGRAM);
}

/** Takes uv from the executable if it contains one, else from the package index. */
async function programFor({ environment, signal, onStep }: Pick<FetchUv, 'environment' | 'signal' | 'onStep'>) {
  const { file, sha256 } = hostUvWheel();
  const packed = await packedUv(sha256);
  onStep(packed === null ? 'fetching' : 'unpacking');
  const wheel = packed ?? (await fetchWheel({ project: 'uv', file, sha256 }, environment, signal));
  const content = await zipMember(wheel, (name) => name.endsWith(`.data/scripts/${PROGRAM}`));
  if (content === null) throw new Error(`${file} contains no ${PROGRAM}.`);
  return content;
}

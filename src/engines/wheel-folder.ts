import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { z } from 'zod';
import { makeFolder, onDisk, type Place } from '../disk-error.ts';
import type { EnvironmentId } from '../engine-table.ts';
import { AsrproError } from '../errors.ts';
import { pythonEnvironment } from '../python-environment.ts';
import { installError } from './install-error.ts';
import { CPU_TORCH_INDEX, type Lock } from './lock.ts';
import { pipEnvironment, pythonWithPip } from './pip.ts';
import { runProgram } from './run-program.ts';

/** The manifest of a folder of wheels; it is written last. */
const MANIFEST = 'asrpro-wheels.json';
const manifestSchema = z.object({
  engine: z.string(),
  /** The lock's hash: other versions of asrpro may need other packages. */
  lock: z.string(),
  /** Platform and processor, with Node's names. */
  platform: z.string(),
  /** `3.12`. */
  python: z.string(),
});
export type WheelFolder = z.infer<typeof manifestSchema>;

/** Throws `engine_install_failed` unless `setup --download` has completed the folder. */
export function readWheelFolder(folder: string): WheelFolder {
  try {
    return manifestSchema.parse(JSON.parse(readFileSync(path.join(folder, MANIFEST), 'utf8')));
  } catch (cause) {
    throw new AsrproError(
      'engine_install_failed',
      'The folder contains no packages for an installation without network.',
      {
        hint: 'Create it with `asrpro setup --download DIR` on a machine with a network.',
        cause,
      },
    );
  }
}

/** Throws `engine_install_failed` if the folder is for another engine, version of asrpro or kind of machine. */
export function requireMatching(folder: string, id: EnvironmentId, lock: Lock): void {
  const { engine, lock: hash, platform } = readWheelFolder(folder);
  const why =
    engine !== id
      ? `the engine ${engine}`
      : hash !== lock.hash
        ? 'another version of asrpro'
        : platform !== thisPlatform()
          ? `another kind of machine (${platform})`
          : null;
  if (why === null) return;
  throw new AsrproError('engine_install_failed', `The packages in the folder are for ${why}.`, {
    hint: `Create a new one with \`asrpro setup ${id} --download DIR\` of this version, on a machine of this kind.`,
  });
}

function thisPlatform(): string {
  return `${process.platform}-${process.arch}`;
}

export interface WheelDownload {
  id: EnvironmentId;
  lock: Lock;
  folder: string;
  /** The interpreter of the installed engine, if any. */
  installed: string | null;
  configuredPython: string | null;
  environment: NodeJS.ProcessEnv;
  nvidia: boolean;
  signal: AbortSignal;
  onProgress(step: string): void;
}

/**
 * Downloads all wheels that an installation on a machine of this kind needs, with the same locked hashes. Does not download
 * again what an earlier run has left in the folder. Throws `python_not_found`, `python_too_old`, `disk_full`,
 * `folder_unusable`, `engine_install_failed`, `engine_install_cancelled`.
 */
export async function downloadWheels(options: WheelDownload): Promise<WheelFolder> {
  const { id, lock, folder, environment, nvidia, signal } = options;
  const place: Place = { name: 'the folder for the packages', folder, remedy: 'name another folder' };
  await makeFolder(folder, place);
  const python = await pythonWithPip(options.installed, options.configuredPython, environment);
  const version = await versionOf(python, environment, signal);
  const temporary = path.join(folder, '.asrpro-tmp');
  await onDisk(place, () => mkdirSync(temporary, { recursive: true }));
  const settings = await pipEnvironment(python, 'download', environment, temporary, signal);
  const fetchAll = async (list: string, more: readonly string[] = []): Promise<void> => {
    const wanted = ['--only-binary=:all:', '--require-hashes', '--no-deps', '--find-links', folder];
    const args = ['-m', 'pip', 'download', ...wanted, '--no-input', '--progress-bar', 'off', '--dest', folder, ...more];
    const ended = await runProgram(python, [...args, '-r', list], {
      environment: { ...settings, TMPDIR: temporary, TEMP: temporary, TMP: temporary },
      signal,
      onLine(line) {
        const name = /^\s*(?:Downloading|Using cached) .*?([A-Za-z0-9][\w.]*)-\d[^/]*\.whl/.exec(line)?.[1];
        if (name !== undefined) options.onProgress(`fetching ${name.replaceAll('_', '-')}`);
      },
    });
    if (ended.failed) {
      throw installError(ended, {
        tool: 'pip',
        building: folder,
        place,
        platform: `Python ${version} on ${thisPlatform()}`,
      });
    }
  };
  const torch = (): string | undefined => readdirSync(folder).find((name) => /^torch-.*\.whl$/.test(name));
  try {
    for (const { path: list, role } of lock.files) {
      if (role === 'nvidia' && !nvidia) continue;
      if (role === 'torch' && torch() !== undefined) continue;
      if (role === 'cuda' && torch()?.includes('cpu') !== false) continue;
      if (role !== 'cpu-torch') await fetchAll(list);
      else if (!nvidia) {
        const missing = (error: AsrproError): void => {
          if (error.code !== 'engine_install_failed') throw error;
        };
        await fetchAll(list).catch(missing);
        if (torch() === undefined) await fetchAll(list, ['--extra-index-url', CPU_TORCH_INDEX]).catch(missing);
      }
    }
  } finally {
    await onDisk(place, () => rmSync(temporary, { recursive: true, force: true }));
  }
  const manifest: WheelFolder = { engine: id, lock: lock.hash, platform: thisPlatform(), python: version };
  await onDisk(place, () => writeFileSync(path.join(folder, MANIFEST), `${JSON.stringify(manifest, null, 2)}\n`));
  return manifest;
}

async function versionOf(python: string, environment: NodeJS.ProcessEnv, signal: AbortSignal): Promise<string> {
  const code = "import sys; print('%d.%d' % sys.version_info[:2])";
  const options = { environment: pythonEnvironment(environment), signal, limitMs: 15_000 };
  return (await runProgram(python, ['-I', '-c', code], options)).stdout.trim();
}

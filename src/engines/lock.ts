import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import type { EnvironmentId } from './types.ts';

export interface LockFile {
  path: string;
  /** Only where the torch that was installed before is a CUDA build: gigabytes that a CPU build does not need. */
  cudaOnly: boolean;
}

/** What an environment is made of. */
export interface Lock {
  /** Complete lists of packages, hash-locked, in the order in which they are installed. */
  files: readonly LockFile[];
  /** First 16 hex digits of the sha256 of all files: part of the environment's folder name. */
  hash: string;
  /** Packages in the lock, for all platforms: an upper bound of what is installed here. */
  packages: number;
  /** Free space an installation takes, in bytes; measured on Linux x86-64. */
  sizeBytes: number;
  /** What must import, in the new environment, before it counts as installed. */
  imports: readonly string[];
  /** Distributions whose versions are shown. */
  shown: readonly string[];
}

const CONTENT: Record<EnvironmentId, Pick<Lock, 'sizeBytes' | 'imports' | 'shown'> & { names: readonly string[] }> = {
  core: {
    names: ['core'],
    sizeBytes: 485_000_000,
    imports: ['faster_whisper', 'ctranslate2', 'onnx_asr', 'onnxruntime', 'zmq', 'msgpack', 'psutil'],
    shown: ['faster-whisper', 'ctranslate2', 'onnx-asr', 'onnxruntime'],
  },
  nemo: {
    names: ['nemo-torch', 'nemo-cuda', 'nemo'],
    sizeBytes: 2_200_000_000,
    imports: ['torch', 'nemo.collections.asr', 'zmq', 'msgpack', 'psutil', 'av'],
    shown: ['nemo-toolkit', 'torch'],
  },
};

/** Throws where the runtime has no such lock: the installation of the program itself is broken. */
export function readLock(runtimeRoot: string, id: EnvironmentId): Lock {
  const { names, ...content } = CONTENT[id];
  const files = names.map((name) => ({
    path: path.join(runtimeRoot, 'locks', `${name}.txt`),
    cudaOnly: name.endsWith('-cuda'),
  }));
  const text = files.map((file) => readFileSync(file.path, 'utf8')).join('');
  return {
    files,
    hash: createHash('sha256').update(text).digest('hex').slice(0, 16),
    packages: new Set(text.match(/^[a-z0-9][a-z0-9._-]*(?===)/gim)).size,
    ...content,
  };
}

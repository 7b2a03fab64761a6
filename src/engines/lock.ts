import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import type { EnvironmentId } from './types.ts';

/** Where PyTorch's makers publish builds without CUDA, which are not on the common index for Linux. */
export const CPU_TORCH_INDEX = 'https://download.pytorch.org/whl/cpu';

export interface LockFile {
  path: string;
  /**
   * When it is installed. `all`: always. `nvidia`: on a machine with an NVIDIA driver. `cpu-torch`: tried first on one
   * without. `torch`: where that gave none. `cuda`: where torch is a build for CUDA; gigabytes that a CPU build does not need.
   */
  role: 'all' | 'nvidia' | 'cpu-torch' | 'torch' | 'cuda';
}

/** What an environment is made of. */
export interface Lock {
  /** Complete lists of packages, hash-locked, in the order in which they are installed. */
  files: readonly LockFile[];
  /** First 16 hex digits of the sha256 of all files: part of the environment's folder name. */
  hash: string;
  /** Packages in the lock, for all platforms: an upper bound of what is installed here. */
  packages: number;
  /** Space that an installation takes, in bytes; measured on Linux x86-64. */
  sizeBytes: number;
  /** The same with the packages of the roles `nvidia` and `cuda`. */
  cudaSizeBytes: number;
  /** What must import, in the new environment, before it counts as installed. */
  imports: readonly string[];
  /** Distributions whose versions are shown. */
  shown: readonly string[];
}

const CONTENT: Record<
  EnvironmentId,
  Pick<Lock, 'sizeBytes' | 'cudaSizeBytes' | 'imports' | 'shown'> & { names: readonly string[] }
> = {
  core: {
    names: ['core', 'core-cuda'],
    sizeBytes: 485_000_000,
    cudaSizeBytes: 1_360_000_000,
    imports: ['faster_whisper', 'ctranslate2', 'onnx_asr', 'onnxruntime', 'zmq', 'msgpack', 'psutil'],
    shown: ['faster-whisper', 'ctranslate2', 'onnx-asr', 'onnxruntime'],
  },
  nemo: {
    names: ['nemo-torch-cpu', 'nemo-torch', 'nemo-cuda', 'nemo'],
    sizeBytes: 2_460_000_000,
    cudaSizeBytes: 6_500_000_000,
    imports: ['torch', 'nemo.collections.asr', 'zmq', 'msgpack', 'psutil', 'av'],
    shown: ['nemo-toolkit', 'torch'],
  },
};

const ROLES: Record<string, LockFile['role']> = {
  'core-cuda': 'nvidia',
  'nemo-torch-cpu': 'cpu-torch',
  'nemo-torch': 'torch',
  'nemo-cuda': 'cuda',
};

/** Throws where the runtime has no such lock: the installation of the program itself is broken. */
export function readLock(runtimeRoot: string, id: EnvironmentId): Lock {
  const { names, ...content } = CONTENT[id];
  const files = names.map((name) => ({
    path: path.join(runtimeRoot, 'locks', `${name}.txt`),
    role: ROLES[name] ?? ('all' as const),
  }));
  const text = files.map((file) => readFileSync(file.path, 'utf8')).join('');
  return {
    files,
    hash: createHash('sha256').update(text).digest('hex').slice(0, 16),
    // Counted when an installation wants to know.
    get packages() {
      return new Set(text.match(/^[a-z0-9][a-z0-9._-]*(?===)/gim)).size;
    },
    ...content,
  };
}

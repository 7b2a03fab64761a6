import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { execa } from 'execa';
import { onTestFinished } from 'vitest';
import { pythonWithTools } from './python-tools.ts';

/**
 * Environment variables that make this machine look like a Mac with Apple silicon to the gateway and its workers: MLX
 * computes on the CPU and claims to be a GPU.
 *
 * @param broken the GPU fails with models of at least this width (channels of the first convolution).
 * @param folder for the stand-in of MLX. By default a folder that is removed after the test.
 */
export async function likeMac({
  broken = Number.POSITIVE_INFINITY,
  folder = folderOfTest(),
} = {}): Promise<Record<string, string>> {
  const real = await execa(await pythonWithTools(), ['-c', 'import mlx; print(mlx.__path__[0])']);
  mkdirSync(path.join(folder, 'mlx'), { recursive: true });
  writeFileSync(path.join(folder, 'mlx', '__init__.py'), standIn(real.stdout, broken));
  return { ASRPRO_TEST_MLX: folder };
}

function folderOfTest(): string {
  const folder = mkdtempSync(path.join(os.tmpdir(), 'asrpro-mac-'));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  return folder;
}

function standIn(packages: string, broken: number): string {
  return `
__path__ = [${JSON.stringify(packages)}]
from mlx import core
core.metal.is_available = lambda: True
_convolve = core.conv1d
def conv1d(x, weight, *rest, **options):
    if weight.shape[0] >= ${broken === Number.POSITIVE_INFINITY ? 'float("inf")' : broken}:
        raise RuntimeError("[METAL] Command buffer execution failed: Caused GPU Hang Error")
    return _convolve(x, weight, *rest, **options)
core.conv1d = conv1d
`;
}
